import type { Pointer } from '@reallm/kernels/inference'
import type { CausalConv } from '@reallm/tensor-io/models'
import type { ConvWeights, DeltaRule, RecurrentOp, Scan, ShortConvOp } from '../recurrent-op.ts'
import type { Vector } from '../weight.ts'
import { BATCH, type Engine } from './engine.ts'
import { addressOf } from './held.ts'
import type { RecurrentMemory } from './recurrent-memory.ts'
import type { Compiler, Part, Step } from './step.ts'

// The recurrences are kernels; what is of the size of activations is done in TypeScript on their memory.

/** A layer that keeps a state. */
export function recurrent(compiler: Compiler, op: RecurrentOp): Step {
  const step = stepOfPart(compiler, op)
  return ({ parts }) => parts.forEach(step)
}

function stepOfPart(compiler: Compiler, op: RecurrentOp): (part: Part) => void {
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

/** Where a part's tokens are in activations of so many floats a token. */
const placeOf = (at: Pointer, { first }: Part, width: number): Pointer => at + 4 * first * width

function shortConv({ engine, activations }: Compiler, op: ShortConvOp): (part: Part) => void {
  const slots = [op.before, op.after, op.value].map(slot => activations(slot))
  const to = activations(op.to)
  const { channels } = op.spec.conv
  const convolve = convolver(engine, op.spec.conv, op.conv, false)
  return part => {
    const { tokens, state } = part
    const floats = tokens * channels
    const floatsAt = (at: Pointer) => engine.arena.floats(placeOf(at, part, channels), floats)
    const [before, after, value] = slots.map(({ at }) => floatsAt(at))
    const y = floatsAt(to.changed().at)
    for (let i = 0; i < floats; i++) y[i] = before[i] * value[i]
    convolve(y, tokens, state.memory(op.layer))
    for (let i = 0; i < floats; i++) y[i] *= after[i]
  }
}

/** The factors of heads at each token, `[tokens, heads]`: what is left of a matrix, and how much is written. */
interface Factors {
  readonly left: Pointer
  readonly write: Pointer
}

/** Computes `left = exp(−exp(aLog) · step)` of `step = softplus(x + dtBias)`, and what is written of `step`. */
function factorer(
  engine: Engine,
  heads: number,
  { aLog, dtBias }: { readonly aLog: Vector; readonly dtBias: Vector },
) {
  const space = (purpose: string) => engine.scratchBytes(purpose, 4 * BATCH * heads)
  const spaces = () => [space('decay of heads'), space('writing of heads')]
  // Made now, so that the memory does not grow under the views of a pass.
  spaces()
  return (x: Pointer, tokens: number, written: (step: number, at: number) => number): Factors => {
    const count = tokens * heads
    const [left, write] = spaces()
    const [lefts, writes, steps] = [left, write, x].map(at => engine.arena.floats(at, count))
    const [a, bias] = [floatsOf(engine, aLog), floatsOf(engine, dtBias)]
    for (let at = 0; at < count; at++) {
      const step = softplus(steps[at] + bias[at % heads])
      lefts[at] = Math.exp(-Math.exp(a[at % heads]) * step)
      writes[at] = written(step, at)
    }
    return { left, write }
  }
}

function deltaRule({ engine, activations }: Compiler, op: DeltaRule): (part: Part) => void {
  const { keyHeads, heads, keyDim, valueDim, conv } = op.spec
  const [mixed, gate, beta, decay] = [op.mixed, op.gate, op.beta, op.decay].map(slot => activations(slot))
  const to = activations(op.to)
  const convolve = convolver(engine, conv, op.conv, true)
  const factors = factorer(engine, heads, op)
  const keys = keyHeads * keyDim
  return part => {
    const { tokens, state } = part
    const memory = state.memory(op.layer)
    const { arena, kernels } = engine
    const mixedAt = placeOf(mixed.at, part, conv.channels)
    const x = arena.floats(mixedAt, tokens * conv.channels)
    convolve(x, tokens, memory)
    for (let t = 0; t < tokens; t++) {
      for (let group = 0; group < keyHeads; group++) {
        const query = t * conv.channels + group * keyDim
        scaleToLength(x, query, keyDim, keyDim ** -0.5)
        scaleToLength(x, query + keys, keyDim, 1)
      }
    }
    const betas = arena.floats(placeOf(beta.at, part, heads), tokens * heads)
    const { left, write } = factors(placeOf(decay.at, part, heads), tokens, (_, at) => sigmoid(betas[at]))
    const places = [conv.channels, 2 * keys, keys, 0] as const
    const sizes = [tokens, heads, heads / keyHeads, keyDim, valueDim, 1] as const
    const toAt = placeOf(to.changed().at, part, op.to.width)
    kernels.recurrence(mixedAt, ...places, memory.matrices, left, write, toAt, ...sizes)
    kernels.rmsNorm(toAt, addressOf(op.norm.weight), toAt, tokens * heads, valueDim, op.norm.eps)
    const floats = tokens * op.to.width
    applyGate(arena.floats(toAt, floats), arena.floats(placeOf(gate.at, part, op.to.width), floats))
  }
}

function scan({ engine, activations }: Compiler, op: Scan): (part: Part) => void {
  const { heads, headDim, groups, stateDim, conv } = op.spec
  const [mixed, gate, step] = [op.mixed, op.gate, op.step].map(slot => activations(slot))
  const to = activations(op.to)
  const convolve = convolver(engine, conv, op.conv, true)
  const factors = factorer(engine, heads, op)
  const width = heads * headDim
  return part => {
    const { tokens, state } = part
    const memory = state.memory(op.layer)
    const { arena, kernels } = engine
    const mixedAt = placeOf(mixed.at, part, conv.channels)
    const x = arena.floats(mixedAt, tokens * conv.channels)
    convolve(x, tokens, memory)
    const { left, write } = factors(placeOf(step.at, part, heads), tokens, step => step)
    const places = [conv.channels, 0, width, width + groups * stateDim] as const
    const sizes = [tokens, heads, heads / groups, stateDim, headDim, 0] as const
    const toAt = placeOf(to.changed().at, part, width)
    kernels.recurrence(mixedAt, ...places, memory.matrices, left, write, toAt, ...sizes)
    const y = arena.floats(toAt, tokens * width)
    const skips = floatsOf(engine, op.skip)
    for (let t = 0; t < tokens; t++) {
      for (let i = 0; i < width; i++)
        y[t * width + i] += skips[Math.floor(i / headDim)] * x[t * conv.channels + i]
    }
    applyGate(y, arena.floats(placeOf(gate.at, part, width), tokens * width))
    normaliseGroups(y, floatsOf(engine, op.norm.weight), groups, op.norm.eps)
  }
}

/** `y · silu(gate)` */
function applyGate(y: Float32Array, gate: Float32Array): void {
  for (let i = 0; i < y.length; i++) y[i] *= gate[i] * sigmoid(gate[i])
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
