import type { CausalConv } from '@reallm/tensor-io/models'
import type { NormOp } from '../op.ts'
import type { ConvWeights, DeltaRule, Scan, ShortConvOp } from '../recurrent-op.ts'
import type { Vector } from '../weight.ts'
import { dataOf, rmsNorm } from './ops.ts'

/** What a recurrent layer keeps: the last inputs of its convolution, and a matrix `[keyDim, valueDim]` for each head. */
export interface RecurrentMemory {
  inputs: Float32Array[]
  heads: Float32Array[][]
}

export const emptyMemory = (): RecurrentMemory => ({ inputs: [], heads: [] })

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const silu = (x: number) => x * sigmoid(x)
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** A causal convolution, `[tokens, channels]`; the last inputs go to the memory. */
function convolve(
  { channels, kernel }: CausalConv,
  { weight, bias }: ConvWeights,
  x: Float32Array,
  memory: RecurrentMemory,
): Float32Array {
  const [w, b] = [dataOf(weight), bias && dataOf(bias)]
  const y = new Float32Array(x.length)
  for (let t = 0; t < x.length / channels; t++) {
    memory.inputs.push(x.slice(t * channels, (t + 1) * channels))
    const seen = memory.inputs.slice(-kernel)
    for (let c = 0; c < channels; c++) {
      let sum = b ? b[c] : 0
      for (const [j, input] of seen.entries()) sum += w[c * kernel + kernel - seen.length + j] * input[c]
      y[t * channels + c] = sum
    }
  }
  memory.inputs = kernel === 1 ? [] : memory.inputs.slice(1 - kernel)
  return y
}

export function shortConv(
  { spec, conv }: ShortConvOp,
  [before, after, value]: readonly Float32Array[],
  memory: RecurrentMemory,
): Float32Array {
  const y = convolve(
    spec.conv,
    conv,
    before.map((b, i) => b * value[i]),
    memory,
  )
  return y.map((v, i) => after[i] * v)
}

/** One position of a head: what is read of its matrix after `S ← decay · S; S ← S + k uᵀ`, `u` being made of `Sᵀ k`. */
function step(
  state: Float32Array[],
  decay: number,
  q: Float32Array,
  k: Float32Array,
  update: (known: (j: number) => number, j: number) => number,
): Float32Array {
  for (const row of state) for (const [j, s] of row.entries()) row[j] = decay * s
  const known = (j: number) => state.reduce((sum, row, i) => sum + row[j] * k[i], 0)
  const u = state[0].map((_, j) => update(known, j))
  for (const [i, row] of state.entries()) for (const [j, s] of row.entries()) row[j] = s + k[i] * u[j]
  return u.map((_, j) => state.reduce((sum, row, i) => sum + row[j] * q[i], 0))
}

const matrices = (heads: number, rows: number, cols: number) =>
  Array.from({ length: heads }, () => Array.from({ length: rows }, () => new Float32Array(cols)))

const unitLength = (x: Float32Array, factor: number) => {
  const scale = factor / Math.sqrt(x.reduce((sum, v) => sum + v * v, 1e-6))
  return x.map(v => scale * v)
}

/** `softplus(x + bias)`, and what is left of a state: `exp(−exp(aLog) · step)`. */
function stepOf(x: number, h: number, { dtBias, aLog }: { dtBias: Vector; aLog: Vector }) {
  const dt = softplus(x + dataOf(dtBias)[h])
  return { dt, left: Math.exp(-Math.exp(dataOf(aLog)[h]) * dt) }
}

export function deltaRule(
  op: DeltaRule,
  [mixed, gate, beta, decay]: readonly Float32Array[],
  memory: RecurrentMemory,
): Float32Array {
  const { keyHeads, heads, keyDim, valueDim, conv } = op.spec
  if (memory.heads.length === 0) memory.heads = matrices(heads, keyDim, valueDim)
  const x = convolve(conv, op.conv, mixed, memory).map(silu)
  const read = new Float32Array(gate.length)
  for (let t = 0; t < beta.length / heads; t++) {
    const part = (from: number, width: number) =>
      x.subarray(t * conv.channels + from, t * conv.channels + from + width)
    for (let h = 0; h < heads; h++) {
      const group = Math.floor(h / (heads / keyHeads))
      const q = unitLength(part(group * keyDim, keyDim), keyDim ** -0.5)
      const k = unitLength(part((keyHeads + group) * keyDim, keyDim), 1)
      const v = part(2 * keyHeads * keyDim + h * valueDim, valueDim)
      const at = t * heads + h
      const { left } = stepOf(decay[at], h, op)
      const write = sigmoid(beta[at])
      read.set(
        step(memory.heads[h], left, q, k, (known, j) => write * (v[j] - known(j))),
        at * valueDim,
      )
    }
  }
  return rmsNorm(read, op.norm).map((v, i) => v * silu(gate[i]))
}

export function scan(
  op: Scan,
  [mixed, gate, steps]: readonly Float32Array[],
  memory: RecurrentMemory,
): Float32Array {
  const { heads, headDim, groups, stateDim, conv } = op.spec
  if (memory.heads.length === 0) memory.heads = matrices(heads, stateDim, headDim)
  const x = convolve(conv, op.conv, mixed, memory).map(silu)
  const read = new Float32Array(gate.length)
  for (let t = 0; t < steps.length / heads; t++) {
    const part = (from: number, width: number) =>
      x.subarray(t * conv.channels + from, t * conv.channels + from + width)
    for (let h = 0; h < heads; h++) {
      const group = Math.floor(h / (heads / groups))
      const v = part(h * headDim, headDim)
      const b = part(heads * headDim + group * stateDim, stateDim)
      const c = part(heads * headDim + (groups + group) * stateDim, stateDim)
      const at = t * heads + h
      const { dt, left } = stepOf(steps[at], h, op)
      const y = step(memory.heads[h], left, c, b, (_, j) => dt * v[j])
      const skip = dataOf(op.skip)[h]
      read.set(
        y.map((value, j) => value + skip * v[j]),
        at * headDim,
      )
    }
  }
  return groupNorm(
    read.map((v, i) => v * silu(gate[i])),
    op.norm,
    groups,
  )
}

/** RMS norm of each of some groups by itself. */
function groupNorm(x: Float32Array, { weight, eps }: NormOp, groups: number): Float32Array {
  const width = weight.length / groups
  const factors = dataOf(weight)
  return x.map((v, i) => {
    const from = i - (i % width)
    const squares = x.subarray(from, from + width).reduce((sum, u) => sum + u * u, 0)
    return (v / Math.sqrt(squares / width + eps)) * factors[i % weight.length]
  })
}
