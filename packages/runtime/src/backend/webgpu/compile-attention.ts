import { type AttentionKernel, attentionTokens, partialFloats } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import type { NormOp, Op, Slot } from '../op.ts'
import type { Compiler } from './compiler.ts'
import { MOST_PARTS } from './parts.ts'
import { floatWord, type VectorStep } from './stage.ts'

/** The activation of a kernel that multiplies by the sigmoid of a gate. */
const SIGMOID = 3

/** Norms and rope of queries, keys and values in one dispatch, attention over the keys in another. */
export function compileAttention(c: Compiler, op: Extract<Op, { readonly kind: 'attend' }>): void {
  const { spec, layer, norms, query, key, value, to } = op
  const { heads, kvHeads, headDim, rope, window, softcap, scale } = spec
  const normsValues = spec.valueNormEps !== undefined
  if (spec.sinks || normsValues || headDim % 4 !== 0) {
    const what = spec.sinks
      ? 'attention with sinks'
      : normsValues
        ? 'norms of values'
        : `heads of ${headDim} dimensions`
    throw new ReallmError('unsupported', `the WebGPU backend knows no ${what}`, {
      hint: "load the model with device: 'wasm'",
    })
  }
  const width = heads * headDim
  const input = c.x.take(width * c.tokens)
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
  const toInput: VectorStep = { op: 'input', words: [width, width, input.at, width], size: width }
  const slots = [
    [...placed(query, norms?.query, true), toInput],
    [...placed(key, norms?.key, false), cached(key, 0)],
    [...c.source(value).load, cached(value, 1)],
  ]
  const group = heads / kvHeads
  const parts = c.tokens === 1 ? MOST_PARTS : 1
  const output = c.partials.take(c.tokens * heads * parts * partialFloats(headDim))
  const kernel: AttentionKernel = {
    ...{ headDim, group, cache: c.shared.cache },
    tokens: c.tokens === 1 ? 1 : attentionTokens(group),
  }
  const words = [heads, window ?? 0, floatWord(scale), floatWord(softcap ?? 0), input.at, output.at]
  c.emit(
    { kind: 'vector', role: 'heads', layer, slots },
    { kind: 'attention', kernel, kvHeads, layer, words, window: window ?? Number.POSITIVE_INFINITY },
  )
  c.x.give(input)
  const read: VectorStep = { op: 'attended', words: [heads, headDim, output.at], size: width }
  const gate: VectorStep[] = spec.gated
    ? [...c.source(query).load, pick(width, headDim, 1), { op: 'keep', words: [width], size: width }]
    : []
  c.set(to, {
    role: 'attended',
    load: spec.gated ? [...gate, read, { op: 'gate', words: [width, SIGMOID], size: width }] : [read],
    isHidden: false,
    release: () => c.partials.give(output),
  })
}

/** Of each head's query and gate, one of the two. */
const pick = (n: number, headDim: number, part: 0 | 1): VectorStep => ({
  op: 'pick',
  words: [n, headDim, part],
  size: 2 * n,
})
