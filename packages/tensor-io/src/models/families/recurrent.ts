import { ReallmError } from '../../core/errors.ts'
import type { ConfigReader } from '../config-reader.ts'
import type { CausalConv, GatedDeltaNet, Mamba2, Parameter, ShortConv } from '../layer-spec.ts'
import { linear, nameOf, projections } from './blocks.ts'

// Mixers that carry a state from position to position, as LFM2, Qwen 3.5 and Granite 4 have them.

const parameter = (i: number, part: string, ...shape: number[]): Parameter => ({
  name: nameOf(i, part),
  shape,
})

const convolution = (
  i: number,
  part: string,
  channels: number,
  kernel: number,
  bias: boolean,
): CausalConv => ({
  channels,
  kernel,
  weight: parameter(i, `${part}.weight`, channels, 1, kernel),
  bias: bias ? parameter(i, `${part}.bias`, channels) : undefined,
})

const mustDivide = (keys: string, divisor: number, count: number) => {
  if (count % divisor !== 0) {
    throw new ReallmError('bad-file', `config.json: ${keys}: ${divisor} does not divide ${count}`)
  }
}

/** The activation after convolutions is part of these mixers. */
const requireSilu = (c: ConfigReader) => {
  if (c.activation === 'silu') return
  throw new ReallmError('unsupported', `config.json: the activation ${c.activation} is not supported here`, {
    hint: 'supported: silu',
  })
}

export function shortConv(c: ConfigReader, i: number): ShortConv {
  const hidden = c.count('hidden_size')
  const bias = c.flag('conv_bias')
  const [before, after, value] = projections(i, 'conv.in_proj', [hidden, hidden, hidden], hidden, bias)
  return {
    kind: 'short-conv',
    before,
    after,
    value,
    conv: convolution(i, 'conv.conv', hidden, c.count('conv_L_cache'), bias),
    output: linear(nameOf(i, 'conv.out_proj'), hidden, hidden, bias),
  }
}

export function gatedDeltaNet(c: ConfigReader, i: number): GatedDeltaNet {
  requireSilu(c)
  const hidden = c.count('hidden_size')
  const [keyHeads, heads] = [c.count('linear_num_key_heads'), c.count('linear_num_value_heads')]
  const [keyDim, valueDim] = [c.count('linear_key_head_dim'), c.count('linear_value_head_dim')]
  mustDivide('linear_num_key_heads, linear_num_value_heads', keyHeads, heads)
  const channels = 2 * keyHeads * keyDim + heads * valueDim
  const names = ['in_proj_qkv', 'in_proj_z', 'in_proj_b', 'in_proj_a'].map(part => `linear_attn.${part}`)
  const sizes = [channels, heads * valueDim, heads, heads]
  const [queryKeyValue, gate, beta, decay] = projections(i, names, sizes, hidden, false)
  return {
    kind: 'gated-delta-net',
    keyHeads,
    heads,
    keyDim,
    valueDim,
    queryKeyValue,
    gate,
    beta,
    decay,
    conv: convolution(i, 'linear_attn.conv1d', channels, c.count('linear_conv_kernel_dim'), false),
    aLog: parameter(i, 'linear_attn.A_log', heads),
    dtBias: parameter(i, 'linear_attn.dt_bias', heads),
    norm: { name: nameOf(i, 'linear_attn.norm'), width: valueDim, eps: c.eps, offset: 0 },
    output: linear(nameOf(i, 'linear_attn.out_proj'), hidden, heads * valueDim, false),
  }
}

/** Steps that are cut off change what is computed. */
const requireFreeSteps = (c: ConfigReader) => {
  const limit = c.value('time_step_limit')
  if (!Array.isArray(limit) || (limit[0] === 0 && !Number.isFinite(limit[1]))) return
  throw new ReallmError('unsupported', `config.json: time_step_limit ${JSON.stringify(limit)}`, {
    hint: 'supported: from 0 to infinity',
  })
}

export function mamba2(c: ConfigReader, i: number): Mamba2 {
  requireSilu(c)
  requireFreeSteps(c)
  const hidden = c.count('hidden_size')
  const [heads, groups, stateDim] = [
    c.count('mamba_n_heads'),
    c.count('mamba_n_groups'),
    c.count('mamba_d_state'),
  ]
  const inner = c.count('mamba_expand') * hidden
  mustDivide('mamba_n_heads, mamba_expand · hidden_size', heads, inner)
  mustDivide('mamba_n_groups, mamba_n_heads', groups, heads)
  const headDim = c.value('mamba_d_head') === 'auto' ? inner / heads : c.count('mamba_d_head')
  if (heads * headDim !== inner) {
    throw new ReallmError(
      'bad-file',
      `config.json: ${heads} heads of mamba_d_head ${headDim} are not ${inner}`,
    )
  }
  const channels = inner + 2 * groups * stateDim
  const bias = c.flag('mamba_proj_bias')
  const sizes = [inner, channels, heads]
  const [gate, valueKeyQuery, step] = projections(i, 'mamba.in_proj', sizes, hidden, bias)
  return {
    kind: 'mamba2',
    heads,
    headDim,
    groups,
    stateDim,
    gate,
    valueKeyQuery,
    step,
    conv: convolution(i, 'mamba.conv1d', channels, c.count('mamba_d_conv'), c.flag('mamba_conv_bias')),
    aLog: parameter(i, 'mamba.A_log', heads),
    dtBias: parameter(i, 'mamba.dt_bias', heads),
    skip: parameter(i, 'mamba.D', heads),
    norm: { name: nameOf(i, 'mamba.norm'), width: inner, eps: c.eps, offset: 0 },
    output: linear(nameOf(i, 'mamba.out_proj'), hidden, inner, bias),
  }
}
