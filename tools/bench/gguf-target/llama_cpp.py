#!/usr/bin/env python3
"""llama.cpp as it is: quantises GGUF files with its own types, and scores any GGUF file by its own inference.

Set-up: `npm i --ignore-scripts node-llama-cpp` brings libllama (LLAMA_LIBS = its folder
node_modules/@node-llama-cpp/linux-x64/bins/linux-x64); `pip install llama-cpp-py-sync numpy cffi` brings its declarations,
and `pip install torch transformers gguf` what `imatrix` needs. Inference takes THREADS threads; default: one a core.
    llama_cpp.py quantize  IN.gguf OUT.gguf TYPE [--imatrix F.npz]           TYPE: F16, Q4_K_M, IQ3_XXS, ...
    llama_cpp.py imatrix   MODEL TEXT OUT.npz [--windows 24] [--ctx 512]     MODEL: a GGUF file or a Hugging Face directory
    llama_cpp.py reference ORIGINAL.gguf TEXT OUT.npy [--windows 24] [--ctx 512]
    llama_cpp.py compare   REFERENCE.npy TEXT OTHER.gguf [--windows 24] [--ctx 512]
`imatrix` writes the mean squared input of every linear layer. `reference` keeps the original's log-probabilities, and
`compare` prints one line of JSON: perplexity, KL divergence from the original (nats per token), share of the same top
tokens. The text is tokenised once, without a BOS; windows of `ctx` tokens lie side by side, each with an empty cache, and
positions ctx/2 to ctx-1 are scored.
"""

import argparse
import glob
import json
import os
import sys

import numpy as np

TYPES = dict(
    F16=1, Q4_0=2, Q4_1=3, Q8_0=7, Q5_0=8, Q5_1=9, Q2_K=10, Q3_K_S=11, Q3_K_M=12, Q3_K_L=13, Q4_K_S=14, Q4_K_M=15,
    Q5_K_S=16, Q5_K_M=17, Q6_K=18, IQ2_XXS=19, IQ2_XS=20, IQ3_XS=22, IQ3_XXS=23, IQ1_S=24, IQ4_NL=25, IQ3_S=26, IQ3_M=27,
    IQ2_S=28, IQ2_M=29, IQ4_XS=30, IQ1_M=31,
)  # fmt: skip
PARTS = dict(
    q_proj="attn_q", k_proj="attn_k", v_proj="attn_v", o_proj="attn_output", gate_proj="ffn_gate", up_proj="ffn_up",
    down_proj="ffn_down",
)  # fmt: skip


class Llama:
    """The shared library; `ffi` and `lib` as cffi has them."""

    def __init__(self):
        from cffi import FFI
        from llama_cpp_py_sync._cffi_bindings import _LLAMA_H_CDEF

        folder = os.environ.get("LLAMA_LIBS") or sys.exit("LLAMA_LIBS must name the folder of libllama")
        loader = FFI()
        loader.cdef("void ggml_backend_load_all_from_path(const char *);")
        self.ggml = loader.dlopen(glob.glob(f"{folder}/libggml.*so*")[0])
        self.ggml.ggml_backend_load_all_from_path(folder.encode())
        self.ffi = FFI()
        self.ffi.cdef(_LLAMA_H_CDEF)
        self.lib = self.ffi.dlopen(glob.glob(f"{folder}/libllama.v*so*")[0])

        @self.ffi.callback("void(enum ggml_log_level, const char *, void *)")
        def errors_only(level, text, _):
            if level == 4:
                sys.stderr.write(self.ffi.string(text).decode("utf8", "replace"))

        self.log = errors_only
        self.lib.llama_log_set(errors_only, self.ffi.NULL)
        self.lib.llama_backend_init()


def quantize(llama, source, target, kind, imatrix):
    ffi, lib = llama.ffi, llama.lib
    params = ffi.new("llama_model_quantize_params *", lib.llama_model_quantize_default_params())
    params.ftype, params.nthread, params.allow_requantize = TYPES[kind], os.cpu_count() or 1, True
    kept = []
    if imatrix:
        data = np.load(imatrix)
        table = ffi.new("struct llama_model_imatrix_data[]", len(data.files) + 1)
        for entry, name in zip(table, data.files):
            text, values = ffi.new("char[]", name.encode()), np.ascontiguousarray(data[name], dtype=np.float32)
            kept += [text, values]
            entry.name, entry.data, entry.size = text, ffi.cast("float *", values.ctypes.data), values.size
        params.imatrix = table
    code = lib.llama_model_quantize(source.encode(), target.encode(), params)
    if code:
        sys.exit(f"llama_model_quantize failed ({code})")


class Model:
    def __init__(self, llama, path, ctx):
        self.ffi, self.lib = ffi, lib = llama.ffi, llama.lib
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        if self.model == ffi.NULL:
            sys.exit(f"llama.cpp cannot load {path}")
        params = ffi.new("struct llama_context_params *", lib.llama_context_default_params())
        params.n_ctx = params.n_batch = params.n_ubatch = ctx
        params.n_threads = params.n_threads_batch = int(os.environ.get("THREADS") or os.cpu_count() or 1)
        self.context = lib.llama_init_from_model(self.model, params[0])
        self.vocabulary = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocabulary)
        self.batch = lib.llama_batch_init(ctx, 0, 1)

    def tokens(self, text):
        raw = text.encode()
        out = self.ffi.new("llama_token[]", len(raw) + 8)
        count = self.lib.llama_tokenize(self.vocabulary, raw, len(raw), out, len(raw) + 8, False, False)
        if count < 0:
            sys.exit("the text cannot be tokenised")
        return np.frombuffer(self.ffi.buffer(out, 4 * count), dtype=np.int32).copy()

    def log_probabilities(self, ids, first):
        """Of the tokens after `first`, …: [len(ids) - 1 - first, vocabulary]."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        batch = self.batch
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(token), i, 1
            batch.logits[i] = int(first <= i < len(ids) - 1)
            batch.seq_id[i][0] = 0
        if self.lib.llama_decode(self.context, batch):
            sys.exit("llama_decode failed")
        rows = [self.lib.llama_get_logits_ith(self.context, i) for i in range(first, len(ids) - 1)]
        x = np.stack([np.frombuffer(self.ffi.buffer(row, 4 * self.size), dtype=np.float32) for row in rows])
        x = x - x.max(1, keepdims=True)
        return x - np.log(np.exp(x).sum(1, keepdims=True))


def windows_of(model, text, count, ctx):
    with open(text, newline="", encoding="utf8") as file:
        ids = model.tokens(file.read().replace("\r\n", "\n"))
    return [ids[w * ctx : (w + 1) * ctx] for w in range(min(count, len(ids) // ctx))]


def reference(llama, original, text, out, count, ctx):
    model = Model(llama, original, ctx)
    windows = windows_of(model, text, count, ctx)
    shape = (len(windows), ctx // 2, model.size)
    kept = np.lib.format.open_memmap(out + ".part", mode="w+", dtype=np.float32, shape=shape)
    for w, ids in enumerate(windows):
        kept[w] = model.log_probabilities(ids, ctx // 2 - 1)
    kept.flush()
    os.replace(out + ".part", out)


def compare(llama, kept, text, other, count, ctx):
    model = Model(llama, other, ctx)
    original = np.load(kept, mmap_mode="r")
    loss = first_loss = divergence = same = tokens = 0
    for p, ids in zip(original, windows_of(model, text, count, ctx), strict=True):
        q = model.log_probabilities(ids, ctx // 2 - 1)
        labels = ids[ctx // 2 :]
        places = np.arange(len(labels))
        loss -= float(q[places, labels].sum())
        first_loss -= float(p[places, labels].sum())
        divergence += float((np.exp(p) * (p - q)).sum())
        same += int((p.argmax(1) == q.argmax(1)).sum())
        tokens += len(labels)
    print(
        json.dumps(
            dict(
                original=float(np.exp(first_loss / tokens)),
                perplexity=float(np.exp(loss / tokens)),
                kl=divergence / tokens,
                top1=same / tokens,
            )
        )
    )


def imatrix(source, text, out, count, ctx):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = os.path.split(os.path.abspath(source)) if source.endswith(".gguf") else (source, None)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    with open(text, encoding="utf8") as file:
        ids = tokenizer(file.read()[: 8 * count * ctx], add_special_tokens=False)["input_ids"]
    sums, counts = {}, {}

    def watch(module, key):
        def see(_, inputs, __):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            sums[key] = sums.get(key, 0) + (x * x).sum(0)
            counts[key] = counts.get(key, 0) + x.shape[0]

        module.register_forward_hook(see)

    for i, layer in enumerate(model.model.layers):
        for path, module in layer.named_modules():
            part = PARTS.get(path.split(".")[-1])
            if part:
                watch(module, f"blk.{i}.{part}.weight")
    watch(model.lm_head, "output.weight")
    with torch.no_grad():
        for w in range(min(count, len(ids) // ctx)):
            model(torch.tensor([ids[w * ctx : (w + 1) * ctx]]), use_cache=False)
    values = {key: (total / counts[key]).float().numpy() for key, total in sums.items()}
    np.savez(out, **values, **{"token_embd.weight": values["output.weight"]})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["quantize", "imatrix", "reference", "compare"])
    parser.add_argument("args", nargs=3)
    parser.add_argument("--imatrix")
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--ctx", type=int, default=512)
    given = parser.parse_args()
    if given.verb == "imatrix":
        imatrix(*given.args, given.windows, given.ctx)
    elif given.verb == "quantize":
        quantize(Llama(), *given.args, given.imatrix)
    else:
        dict(reference=reference, compare=compare)[given.verb](Llama(), *given.args, given.windows, given.ctx)


main()
