"""Matrices that other tools quantised, packed by those tools' own code, with what that code decodes.

pip install torch safetensors transformers compressed-tensors && pip install --no-deps auto-gptq autoawq
python tools/golden/quantised.py packages/tensor-io/test/fixtures/quantised

Each file holds the parts of the matrix `layer`, and `expected` [out, in].
"""
import importlib.util
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

site = Path(torch.__file__).parent.parent
out, inputs, group = 32, 64, 16
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(23)


def from_file(name, path):
    """A module without the package around it, which wants GPUs or older libraries."""
    spec = importlib.util.spec_from_file_location(name, site / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(name, tensors, expected):
    parts = {f'layer.{part}': tensor.contiguous() for part, tensor in tensors.items()}
    save_file({**parts, 'expected': expected.float().contiguous()}, folder / f'{name}.safetensors')


def integers(bits, groups, lowest=0):
    """Codes [out, in], scales and zero points [out, groups]."""
    scales = (0.01 + 0.02 * torch.rand(out, groups)).half()
    zeros = torch.randint(lowest, 2**bits, (out, groups))
    return torch.randint(0, 2**bits, (out, inputs)), scales, zeros


def decoded(codes, scales, zeros, group_of):
    return scales.float()[:, group_of] * (codes - zeros[:, group_of])


def gptq():
    layer = from_file('qlinear_cuda', 'auto_gptq/nn_modules/qlinear/qlinear_cuda.py').QuantLinear
    for name, bits, size, ordered in [
        *[(f'gptq-{bits}', bits, group, False) for bits in (2, 3, 4, 8)],
        ('gptq-ordered', 4, group, True),
        ('gptq-outputs', 4, -1, False),
    ]:
        group_of = torch.arange(inputs) // (size if size > 0 else inputs)
        if ordered:
            group_of = group_of[torch.randperm(inputs)]
        # stored less one: zero points of 0 have no form in the first version of the format
        codes, scales, zeros = integers(bits, int(group_of.max()) + 1, lowest=1)
        linear = torch.nn.Linear(inputs, out, bias=False).half()
        expected = decoded(codes, scales, zeros, group_of)
        linear.weight.data = expected
        quantised = layer(bits, size, inputs, out, False, weight_dtype=torch.float32)
        quantised.pack(linear, scales.float(), zeros.float(), group_of.int())
        parts = {'qweight': quantised.qweight, 'qzeros': quantised.qzeros, 'scales': scales.t()}
        if size > 0:
            parts['g_idx'] = group_of.int()
        save(name, parts, expected)
        if name == 'gptq-4':
            # the second version stores the zero points as they are
            packed = zeros.t().reshape(-1, out // 8, 8) << torch.arange(0, 32, 4)
            zeros_as_are = packed.sum(-1).to(torch.int64)
            save('gptq-v2', {**parts, 'qzeros': zeros_as_are.where(zeros_as_are < 2**31, zeros_as_are - 2**32).int()}, expected)


def awq():
    packing = from_file('packing_utils', 'awq/utils/packing_utils.py')
    codes, scales, zeros = integers(4, inputs // group)
    order = torch.tensor(packing.AWQ_ORDER)

    def packed(values):
        words = (values.reshape(values.shape[0], -1, 8)[..., order] << torch.arange(0, 32, 4)).sum(-1)
        return words.where(words < 2**31, words - 2**32).int()

    parts = {'qweight': packed(codes.t()), 'qzeros': packed(zeros.t()), 'scales': scales.t()}
    expected = packing.dequantize_gemm(parts['qweight'], parts['qzeros'], scales.t().float(), 4, group).t()
    assert torch.equal(expected, decoded(codes, scales, zeros, torch.arange(inputs) // group))
    save('awq', parts, expected)


def fp8():
    rows, cols, block = 40, 72, (16, 32)
    codes = (torch.randn(rows, cols) * 50).to(torch.float8_e4m3fn)
    scales = 0.001 + 0.002 * torch.rand(-(-rows // block[0]), -(-cols // block[1]))
    each = scales.repeat_interleave(block[0], 0)[:rows].repeat_interleave(block[1], 1)[:, :cols]
    save('fp8-block', {'weight': codes, 'weight_scale_inv': scales}, codes.float() * each)
    one = torch.tensor(0.0013)
    save('fp8-tensor', {'weight': codes, 'weight_scale': one, 'input_scale': torch.tensor(1.5)}, codes.float() * one)
    row = 0.001 + 0.002 * torch.rand(rows, 1)
    save('fp8-row', {'weight': codes, 'weight_scale': row.bfloat16()}, codes.float() * row.bfloat16().float())


def compressed_tensors():
    from compressed_tensors.compressors import IntQuantizationCompressor, PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    def compressed(name, compressor, args, groups, zeros=None):
        scheme = QuantizationScheme(targets=['Linear'], weights=QuantizationArgs(**args))
        state = {'weight': torch.randn(out, inputs), 'weight_scale': 0.1 + 0.2 * torch.rand(out, groups)}
        if zeros is not None:
            state['weight_zero_point'] = zeros
        parts = compressor.compress(state, scheme)
        expected = compressor.decompress(parts, scheme)['weight']
        save(name, parts, expected)

    by_group = {'num_bits': 4, 'type': 'int', 'strategy': 'group', 'group_size': group}
    groups = inputs // group
    compressed('packed-4', PackedQuantizationCompressor, {**by_group, 'symmetric': True}, groups)
    zeros = torch.randint(-8, 8, (out, groups), dtype=torch.int8)
    compressed('packed-4-zeros', PackedQuantizationCompressor, {**by_group, 'symmetric': False}, groups, zeros)
    by_row = {'num_bits': 8, 'type': 'int', 'strategy': 'channel', 'symmetric': True}
    compressed('packed-8', PackedQuantizationCompressor, by_row, 1)
    compressed('int-8', IntQuantizationCompressor, by_row, 1)


gptq()
awq()
fp8()
compressed_tensors()
