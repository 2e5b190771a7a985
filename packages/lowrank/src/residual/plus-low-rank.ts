import { matmul } from '@reallm/kernels'
import {
  type CodecWrapper,
  copyMatrix,
  defineCodec,
  type EncodedMatrix,
  type GivenOf,
  type MatrixCodec,
  parseParams,
  withDefaults,
} from '@reallm/tensor-io'
import { type LowRank, lowRankResidualLayout, readLowRankFactors } from '@reallm/tensor-io/layouts'
import { type Alternation, alternate } from '../alternate.ts'
import { lowPrecision, type StoredLowRank, storeLowRank } from '../low-precision.ts'
import { metricOf, type Weighting } from '../metric.ts'
import { rowsOf } from '../randomized-svd.ts'

/** Every parameter of `plusLowRank` except `inner`. */
export type PlusLowRankOptions = GivenOf<typeof lowRankResidualLayout>
/** Parameters of a codec with a low-rank part beside it. */
export type PlusLowRankParams<Inner> = PlusLowRankOptions & { readonly inner: Inner }

/**
 * `W ≈ D_φ(E) ⊙ S + L₁L₂`: a codec with a low-rank part of higher precision (ReALLM §3.1), both found by `alternate`.
 * `options` become the parameters' defaults. With few-bit factors under full Hessians this is CALDERA; around NormalFloat
 * with `weighting: 'diagonal'` it is Fisher-weighted LQ-LoRA, with `'none'` plain LQ-LoRA. The best state of the
 * alternation is kept, with factors in their stored precision, under the full Hessians of the context. With `starts: 'each'` the
 * output error is at most that of every weaker weighting.
 *
 * @example
 * const codec = plusLowRank({ rank: 8, bits: 8 }, rotated(withFeedback(trellis)))
 * const stored = await codec.encode(w, { inner: { inner: { bits: 3 } } }, { hessian, seed: 1 })
 */
export function plusLowRank<Inner>(
  options: PlusLowRankOptions,
  codec: MatrixCodec<Inner>,
): MatrixCodec<PlusLowRankParams<Inner>> {
  const layout = withDefaults(lowRankResidualLayout, options)
  return defineCodec({
    layout,
    inner: codec,
    async encode(w, p, ctx) {
      const judge = metricOf(ctx)
      let best: Alternation<StoredLowRank> | undefined
      for (const weighting of p.starts === 'each' ? weakerThan(p.weighting) : [p.weighting]) {
        const metric = weighting === 'full' ? judge : metricOf(ctx, weighting)
        const found = await alternate(w, {
          ...p,
          ...ctx,
          ...{ metric, judge },
          rounds: p.rank === 0 ? 1 : p.rounds,
          fit: residual => lowPrecision(residual, p.rank, { ...p, metric, seed: ctx.seed }),
          async quantise(residual) {
            const stored = await codec.encode(residual, p.inner, ctx)
            return { stored, decoded: codec.decode(stored) }
          },
        })
        if (!best || found.error < best.error) best = found
      }
      return { parts: best!.part.parts, inner: best!.quantised.stored }
    },
    decode(e, inner) {
      const { left, right } = readLowRankFactors(e)
      return matmul(left, right, { out: copyMatrix(codec.decode(inner)), accumulate: true })
    },
    decodeRows(e, inner, from, to) {
      const rows = codec.decodeRows?.(inner, from, to)
      const { left, right } = readLowRankFactors(e)
      return rows && matmul(rowsOf(left, from, to), right, { out: copyMatrix(rows), accumulate: true })
    },
  })
}

/** This weighting and the weaker ones, the weakest first. */
function weakerThan(weighting: Weighting): Weighting[] {
  const all: Weighting[] = ['none', 'diagonal', 'full']
  return all.slice(0, all.indexOf(weighting) + 1)
}

/** `plusLowRank` for the registry: decodes what any of them stored. */
export const lowRankResidual: CodecWrapper = {
  layout: lowRankResidualLayout,
  wrap: codec => plusLowRank({}, codec),
}

/**
 * A stored matrix with other factors of `bits` bits: fine-tuned ones instead of its own, or the first ones of a matrix that
 * has none.
 */
export function withLowRank(
  e: EncodedMatrix,
  factors: LowRank,
  bits: number,
): EncodedMatrix<PlusLowRankParams<unknown>> {
  const layout = lowRankResidualLayout
  const inner = e.codec === layout.codec && e.inner ? e.inner : e
  const own = parseParams(layout, { rank: factors.right.rows, bits })
  const { parts } = storeLowRank(factors, bits)
  return { codec: layout.codec, params: { ...own, inner: inner.params }, shape: e.shape, parts, inner }
}
