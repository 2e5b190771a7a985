import { causalConv, recurrence } from '@reallm/kernels/webgpu/rare'
import type { CausalConv } from '@reallm/tensor-io/models'
import type { Slot } from '../op.ts'
import type { ConvWeights, DeltaRule, Scan, ShortConvOp } from '../recurrent-op.ts'
import type { Region } from './arena.ts'
import type { Compiler } from './compiler.ts'
import { gateSteps } from './gate-steps.ts'
import type { VectorStep } from './stage.ts'
import { convolutionFloats } from './state.ts'

/** What a layer with a short convolution does between its projections. */
export function shortConv(c: Compiler, { spec, layer, before, after, value, conv, to }: ShortConvOp): void {
  const { channels } = spec.conv
  const { load } = c.source(value)
  const gated = gateSteps(c.source(before).load, load, channels, { activation: 'none' })
  const [x] = stored(c, [{ load: gated, size: channels }])
  convolve(c, spec.conv, conv, layer, x, false)
  c.set(to, {
    ...{ role: 'gated', isHidden: false },
    load: gateSteps(c.source(after).load, [loaded(x, channels)], channels, { activation: 'none' }),
    release: () => c.activations.give(x),
  })
}

/** The gated delta rule of a layer, between its projections. */
export function deltaRule(c: Compiler, op: DeltaRule): void {
  const { keyHeads, heads, keyDim, valueDim, conv } = op.spec
  const [x, decay, beta] = stored(c, [of(c, op.mixed), of(c, op.decay), of(c, op.beta)])
  convolve(c, conv, op.conv, op.layer, x, true)
  const keys = keyHeads * keyDim
  const read = recur(c, op, {
    ...{ x, channels: conv.channels, heads, shared: heads / keyHeads, keyDim, valueDim, isDelta: true },
    ...{ queryAt: 0, keyAt: keys, valueAt: 2 * keys, step: decay, beta, skip: 0 },
    memory: convolutionFloats(conv),
  })
  const width = heads * valueDim
  const normed = [loaded(read, width), c.steps.norm(op.norm, width)]
  c.set(op.to, {
    ...{ role: 'gated', isHidden: false },
    load: gateSteps(c.source(op.gate).load, normed, width, { activation: 'silu' }),
    release: () => c.activations.give(read),
  })
}

/** The recurrence of a Mamba-2 layer, between its projections. */
export function scan(c: Compiler, op: Scan): void {
  const { heads, headDim, groups, stateDim, conv } = op.spec
  const [x, step] = stored(c, [of(c, op.mixed), of(c, op.step)])
  convolve(c, conv, op.conv, op.layer, x, true)
  const width = heads * headDim
  const read = recur(c, op, {
    ...{ x, channels: conv.channels, heads, shared: heads / groups, keyDim: stateDim, valueDim: headDim },
    ...{ isDelta: false, valueAt: 0, keyAt: width, queryAt: width + groups * stateDim },
    ...{ step, beta: undefined, skip: c.steps.vector(op.skip), memory: convolutionFloats(conv) },
  })
  const { weight, eps } = op.norm
  const gated = gateSteps(c.source(op.gate).load, [loaded(read, width)], width, { activation: 'silu' })
  c.set(op.to, {
    ...{ role: 'gated', isHidden: false },
    load: [
      ...gated,
      c.steps.plainNorm(width, width / groups, eps),
      { op: 'scale', words: [width, c.steps.vector(weight)], size: width },
    ],
    release: () => c.activations.give(read),
  })
}

const of = (c: Compiler, slot: Slot) => ({ load: c.source(slot).load, size: slot.width })

/** Values of all tokens in memory, `[tokens, size]` each, by one dispatch. */
function stored(
  c: Compiler,
  values: readonly { readonly load: readonly VectorStep[]; readonly size: number }[],
): Region[] {
  const regions = values.map(({ size }) => c.activations.take(size * c.tokens))
  const slots = values.map(({ load, size }, n): VectorStep[] => [
    ...load,
    { op: 'store', words: [size, regions[n].at], size },
  ])
  c.emit({ kind: 'vector', role: 'recurrent', slots })
  return regions
}

const loaded = ({ at }: Region, size: number): VectorStep => ({ op: 'load', words: [size, at, size], size })

/** Convolves values in memory, in place. */
function convolve(
  c: Compiler,
  conv: CausalConv,
  { weight, bias }: ConvWeights,
  layer: number,
  x: Region,
  silu: boolean,
): void {
  const { channels, kernel } = conv
  const words = [channels, x.at, c.steps.vector(weight), bias ? c.steps.vector(bias) + 1 : 0]
  c.emit({
    ...{ kind: 'recurrent', name: 'convolution', layer, words },
    code: causalConv({ kernel, silu }),
    ...{ workgroups: Math.ceil(channels / 64), state: convolutionFloats(conv), values: 2 * channels },
  })
}

interface Recurrence {
  /** Values, keys and queries of all tokens, `[tokens, channels]`, and where they begin. */
  readonly x: Region
  readonly channels: number
  readonly valueAt: number
  readonly keyAt: number
  readonly queryAt: number
  readonly heads: number
  /** Heads that share keys and queries. */
  readonly shared: number
  readonly keyDim: number
  readonly valueDim: number
  readonly isDelta: boolean
  /** What step sizes are made of, `[tokens, heads]`. */
  readonly step: Region
  readonly beta: Region | undefined
  /** Among the constants. */
  readonly skip: number
  /** Where the heads' matrices are in the layer's state. */
  readonly memory: number
}

/** What the heads read, `[tokens, heads · valueDim]`; the inputs are given back. */
function recur(c: Compiler, { layer, aLog, dtBias }: DeltaRule | Scan, of: Recurrence): Region {
  const { x, channels, valueAt, keyAt, queryAt, heads, shared, keyDim, valueDim, isDelta, step, beta } = of
  const read = c.activations.take(heads * valueDim * c.tokens)
  const constants = [c.steps.vector(aLog), c.steps.vector(dtBias), of.skip]
  const inputs = [x.at, channels, valueAt, keyAt, queryAt, step.at, beta?.at ?? 0]
  c.emit({
    ...{ kind: 'recurrent', name: 'recurrence', layer, workgroups: heads },
    code: recurrence({ keyDim, valueDim, isDelta }),
    words: [heads, shared, ...inputs, ...constants, of.memory, read.at],
    ...{ state: heads * keyDim * valueDim, values: channels + heads * valueDim },
  })
  for (const region of [x, step, ...(beta ? [beta] : [])]) c.activations.give(region)
  return read
}
