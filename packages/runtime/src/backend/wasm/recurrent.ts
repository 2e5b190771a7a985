import type { CausalConv, GatedDeltaNet, Mamba2 } from '@reallm/tensor-io/models'
import type { ConvWeights, DeltaRule, RecurrentOp, Scan, ShortConvOp } from '../recurrent-op.ts'
import type { Vector } from '../weight.ts'
import type { Engine } from './engine.ts'
import { addressOf } from './held.ts'
import type { RecurrentMemory } from './recurrent-memory.ts'
import type { Compiler, Step } from './step.ts'

// In TypeScript on the kernels' memory: beside the products with weights the work is small.

/** A layer that keeps a state. */
export function recurrent(compiler: Compiler, op: RecurrentOp): Step {
  switch (op.kind) {
    case 'short-conv':
      return shortConv(compiler, op)
    case 'delta-rule':
      return deltaRule(compiler, op)
    case 'scan':
      return scan(compiler, op)
  }
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** The floats of a vector. Views are made at each pass, because the memory may have grown. */
const floatsOf = ({ arena }: Engine, vector: Vector) => arena.floats(addressOf(vector), vector.length)

/** A causal convolution of `x` `[tokens, channels]` in place, through SiLU where `silu`; the memory keeps the last inputs. */
function convolver(
  engine: Engine,
  { channels, kernel }: CausalConv,
  { weight, bias }: ConvWeights,
  silu: boolean,
) {
  return (x: Float32Array, tokens: number, { inputs }: RecurrentMemory) => {
    const before = (kernel - 1) * channels
    const kept = engine.arena.floats(inputs, before)
    const [w, b] = [floatsOf(engine, weight), bias && floatsOf(engine, bias)]
    const seen = new Float32Array(before + tokens * channels)
    seen.set(kept)
    seen.set(x.subarray(0, tokens * channels), before)
    for (let t = 0; t < tokens; t++) {
      for (let c = 0; c < channels; c++) {
        let sum = b ? b[c] : 0
        for (let j = 0; j < kernel; j++) sum += w[c * kernel + j] * seen[(t + j) * channels + c]
        x[t * channels + c] = silu ? sum * sigmoid(sum) : sum
      }
    }
    kept.set(seen.subarray(tokens * channels))
  }
}

function shortConv({ engine, activations }: Compiler, op: ShortConvOp): Step {
  const slots = [op.before, op.after, op.value].map(slot => activations(slot))
  const to = activations(op.to)
  const { channels } = op.spec.conv
  const convolve = convolver(engine, op.spec.conv, op.conv, false)
  return ({ tokens, state }) => {
    const floats = tokens * channels
    const [before, after, value] = slots.map(({ at }) => engine.arena.floats(at, floats))
    const y = engine.arena.floats(to.changed().at, floats)
    for (let i = 0; i < floats; i++) y[i] = before[i] * value[i]
    convolve(y, tokens, state.memory(op.layer))
    for (let i = 0; i < floats; i++) y[i] *= after[i]
  }
}

/** Factors of each head at a position: what is left of its matrix, and the step. */
function stepper(engine: Engine, heads: number, { aLog, dtBias }: { aLog: Vector; dtBias: Vector }) {
  const left = new Float32Array(heads)
  const steps = new Float32Array(heads)
  return (x: Float32Array, token: number) => {
    const [a, bias] = [floatsOf(engine, aLog), floatsOf(engine, dtBias)]
    for (let h = 0; h < heads; h++) {
      steps[h] = softplus(x[token * heads + h] + bias[h])
      left[h] = Math.exp(-Math.exp(a[h]) * steps[h])
    }
    return { left, steps }
  }
}

function deltaRule({ engine, activations }: Compiler, op: DeltaRule): Step {
  const { keyHeads, heads, keyDim, valueDim, conv }: GatedDeltaNet = op.spec
  const [mixed, gate, beta, decay] = [op.mixed, op.gate, op.beta, op.decay].map(slot => activations(slot))
  const to = activations(op.to)
  const convolve = convolver(engine, conv, op.conv, true)
  const stepOf = stepper(engine, heads, op)
  const [shared, width] = [heads / keyHeads, heads * valueDim]
  const u = new Float32Array(valueDim)
  return ({ tokens, state }) => {
    const memory = state.memory(op.layer)
    const { arena } = engine
    const x = arena.floats(mixed.at, tokens * conv.channels)
    convolve(x, tokens, memory)
    const [b, d] = [beta, decay].map(({ at }) => arena.floats(at, tokens * heads))
    const matrices = arena.floats(memory.matrices, heads * keyDim * valueDim)
    const y = arena.floats(to.changed().at, tokens * width)
    for (let t = 0; t < tokens; t++) {
      const { left } = stepOf(d, t)
      for (let group = 0; group < keyHeads; group++) {
        const q = t * conv.channels + group * keyDim
        const k = q + keyHeads * keyDim
        scaleToLength(x, q, keyDim, keyDim ** -0.5)
        scaleToLength(x, k, keyDim, 1)
        for (let h = group * shared; h < (group + 1) * shared; h++) {
          const v = t * conv.channels + 2 * keyHeads * keyDim + h * valueDim
          const matrix = h * keyDim * valueDim
          u.fill(0)
          for (let i = 0; i < keyDim; i++) {
            const row = matrix + i * valueDim
            const factor = left[h] * x[k + i]
            for (let j = 0; j < valueDim; j++) u[j] += factor * matrices[row + j]
          }
          const write = sigmoid(b[t * heads + h])
          for (let j = 0; j < valueDim; j++) u[j] = write * (x[v + j] - u[j])
          advance({
            matrices,
            matrix,
            x,
            k,
            q,
            keys: keyDim,
            left: left[h],
            u,
            y,
            to: t * width + h * valueDim,
          })
        }
      }
    }
    const { kernels } = engine
    kernels.rmsNorm(to.at, addressOf(op.norm.weight), to.at, tokens * heads, valueDim, op.norm.eps)
    const gates = arena.floats(gate.at, tokens * width)
    for (let i = 0; i < y.length; i++) y[i] *= gates[i] * sigmoid(gates[i])
  }
}

function scan({ engine, activations }: Compiler, op: Scan): Step {
  const { heads, headDim, groups, stateDim, conv }: Mamba2 = op.spec
  const [mixed, gate, step] = [op.mixed, op.gate, op.step].map(slot => activations(slot))
  const to = activations(op.to)
  const convolve = convolver(engine, conv, op.conv, true)
  const stepOf = stepper(engine, heads, op)
  const width = heads * headDim
  const u = new Float32Array(headDim)
  return ({ tokens, state }) => {
    const memory = state.memory(op.layer)
    const { arena } = engine
    const x = arena.floats(mixed.at, tokens * conv.channels)
    convolve(x, tokens, memory)
    const raw = arena.floats(step.at, tokens * heads)
    const skips = floatsOf(engine, op.skip)
    const matrices = arena.floats(memory.matrices, heads * stateDim * headDim)
    const y = arena.floats(to.changed().at, tokens * width)
    for (let t = 0; t < tokens; t++) {
      const { left, steps } = stepOf(raw, t)
      for (let h = 0; h < heads; h++) {
        const group = Math.floor(h / (heads / groups))
        const v = t * conv.channels + h * headDim
        const k = t * conv.channels + width + group * stateDim
        const q = k + groups * stateDim
        for (let j = 0; j < headDim; j++) u[j] = steps[h] * x[v + j]
        const out = t * width + h * headDim
        const matrix = h * stateDim * headDim
        advance({ matrices, matrix, x, k, q, keys: stateDim, left: left[h], u, y, to: out })
        for (let j = 0; j < headDim; j++) y[out + j] += skips[h] * x[v + j]
      }
    }
    const gates = arena.floats(gate.at, tokens * width)
    for (let i = 0; i < y.length; i++) y[i] *= gates[i] * sigmoid(gates[i])
    normaliseGroups(y, floatsOf(engine, op.norm.weight), groups, op.norm.eps)
  }
}

interface Advance {
  readonly matrices: Float32Array
  /** Where the head's matrix begins, and its key and query in `x`. */
  readonly matrix: number
  readonly x: Float32Array
  readonly k: number
  readonly q: number
  readonly keys: number
  readonly left: number
  readonly u: Float32Array
  /** What is read goes to `y` from `to` on. */
  readonly y: Float32Array
  readonly to: number
}

/** `S ← left · S + k uᵀ; y = Sᵀ q` */
function advance({ matrices, matrix, x, k, q, keys, left, u, y, to }: Advance): void {
  const width = u.length
  y.fill(0, to, to + width)
  for (let i = 0; i < keys; i++) {
    const row = matrix + i * width
    const [key, query] = [x[k + i], x[q + i]]
    for (let j = 0; j < width; j++) {
      const s = left * matrices[row + j] + key * u[j]
      matrices[row + j] = s
      y[to + j] += query * s
    }
  }
}

function scaleToLength(x: Float32Array, from: number, width: number, length: number): void {
  let squares = 1e-6
  for (let i = from; i < from + width; i++) squares += x[i] * x[i]
  const factor = length / Math.sqrt(squares)
  for (let i = from; i < from + width; i++) x[i] *= factor
}

/** RMS norm of each of some groups by itself; `weight` is that of all groups. */
function normaliseGroups(x: Float32Array, weight: Float32Array, groups: number, eps: number): void {
  const width = weight.length / groups
  for (let from = 0; from < x.length; from += width) {
    let squares = 0
    for (let i = from; i < from + width; i++) squares += x[i] * x[i]
    const factor = 1 / Math.sqrt(squares / width + eps)
    for (let i = from; i < from + width; i++) x[i] *= factor * weight[i % weight.length]
  }
}
