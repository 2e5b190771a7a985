"""Blocks of GGUF types that Python's gguf cannot decode, with what llama.cpp's own library makes of them.

python tools/golden/gguf-blocks.py FOLDER_OF_LIBGGML > packages/tensor-io/test/fixtures/gguf-blocks.json
(node-llama-cpp's package for the machine has the library: bins/<machine>/libggml-base.so)
"""
import ctypes
import json
import sys

import numpy as np

types = {'Q1_0': (41, 'dequantize_row_q1_0'), 'Q2_0': (42, 'dequantize_row_q2_0')}
blocks = 2

library = ctypes.CDLL(f'{sys.argv[1]}/libggml-base.so')
library.ggml_type_size.restype = ctypes.c_size_t
library.ggml_blck_size.restype = ctypes.c_int64
draw = np.random.default_rng(22)
golden = {}
for name, (number, decode) in types.items():
    size, weights = library.ggml_type_size(number), library.ggml_blck_size(number)
    stored = draw.integers(0, 256, (blocks, size), dtype=np.uint8)
    stored[:, :2] = draw.normal(0, 0.1, (blocks, 1)).astype(np.float16).view(np.uint8)
    values = np.empty(blocks * weights, np.float32)
    getattr(library, decode)(stored.ctypes.data_as(ctypes.c_void_p), values.ctypes.data_as(ctypes.c_void_p),
                             ctypes.c_int64(values.size))
    golden[name] = {'blocks': stored.tobytes().hex(), 'values': values.tobytes().hex()}
json.dump(golden, sys.stdout, indent=2)
print()
