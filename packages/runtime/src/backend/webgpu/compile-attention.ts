import { type AttentionKernel, attentionTokens, partialFloats } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import type { Attention } from '@reallm/tensor-io/models'
import type { NormOp, Op, Slot } from '../op.ts'
import type { Vector } from '../weight.ts'
import type { Region } from './arena.ts'
import type { Compiler } from './compiler.ts'
import { gateSteps } from './gate-steps.ts'
import { MOST_PARTS } from './parts.ts'
import { floatWord, type VectorStep } from './stage.ts'

/** Norms and rope of queries, keys and values in one dispatch, attention over the keys in another. */
export function compileAttention(c: Compiler, op: Extract<Op, { readonly kind: 'attend' }>): void {
  const { spec, layer, norms, query, key, value, to } = op
  const { heads, headDim, rope, valueNormEps } = spec
  const width = heads * headDim
  const placed = (slot: Slot, norm: NormOp | undefined, isQuery: boolean): VectorStep[] => {
    const n = isQuery ? width : slot.width
    const picked = isQuery && spec.gated ? [pick(width, headDim, 0)] : []
    const normed = norm ? [c.steps.norm(norm, n)] : []
    const turned = rope ? [c.steps.rope(rope, isQuery, n, headDim)] : []
    const steps = spec.qkNorm?.afterRope ? [...turned, ...normed] : [...normed, ...turned]
    return [...c.source(slot).load, ...picked, ...steps]
  }
  const cached = (slot: Slot, which: 0 | 1): VectorStep => ({
    op: 'cache',
    words: [slot.width, which],
    size: slot.width,
  })
  const valueNorm = valueNormEps === undefined ? [] : [c.steps.plainNorm(value.width, headDim, valueNormEps)]
  const { read, output } = attendTo(c, { spec, layer, sinks: op.sinks }, input => [
    [...placed(query, norms?.query, true), input],
    [...placed(key, norms?.key, false), cached(key, 0)],
    [...c.source(value).load, ...valueNorm, cached(value, 1)],
  ])
  const gate = [...c.source(query).load, pick(width, headDim, 1)]
  c.set(to, {
    role: 'attended',
    load: spec.gated ? gateSteps(gate, [read], width, { activation: 'sigmoid' }) : [read],
    isHidden: false,
    release: () => c.partials.give(output),
  })
}

interface Attended {
  readonly spec: Pick<Attention, 'heads' | 'kvHeads' | 'headDim' | 'window' | 'scale'> &
    Partial<Pick<Attention, 'softcap'>>
  /** Whose keys and values are read. */
  readonly layer: number
  readonly sinks?: Vector | undefined
}

/**
 * The two dispatches of attention; `slots` makes the lists of the first of the step that writes queries. Returns the step that reads
 * what the heads read, and where that is.
 */
export function attendTo(
  c: Compiler,
  { spec, layer, sinks }: Attended,
  slots: (input: VectorStep) => readonly VectorStep[][],
): { readonly read: VectorStep; readonly output: Region } {
  const { heads, kvHeads, headDim, window, softcap, scale } = spec
  if (headDim % 4 !== 0) {
    throw new ReallmError('unsupported', `the WebGPU backend knows no heads of ${headDim} dimensions`, {
      hint: "load the model with device: 'wasm'",
    })
  }
  const width = heads * headDim
  const input = c.x.take(width * c.tokens)
  const group = heads / kvHeads
  const parts = c.tokens === 1 ? MOST_PARTS : 1
  const output = c.partials.take(c.tokens * heads * parts * partialFloats(headDim))
  const kernel: Omit<AttentionKernel, 'memory'> = {
    ...{ headDim, group, cache: c.shared.cache },
    tokens: c.tokens === 1 ? 1 : attentionTokens(group),
  }
  const words = [heads, window ?? 0, floatWord(scale), floatWord(softcap ?? 0), input.at, output.at]
  c.emit(
    {
      ...{ kind: 'vector', role: 'heads', layer },
      slots: slots({ op: 'input', words: [width, width, input.at, width], size: width }),
    },
    { kind: 'attention', kernel, kvHeads, layer, words },
  )
  c.x.give(input)
  const sinksAt = sinks ? c.steps.vector(sinks) + 1 : 0
  return { read: { op: 'attended', words: [heads, headDim, output.at, sinksAt], size: width }, output }
}

/** Of each head's query and gate, one of the two. */
const pick = (n: number, headDim: number, part: 0 | 1): VectorStep => ({
  op: 'pick',
  words: [n, headDim, part],
  size: 2 * n,
})
