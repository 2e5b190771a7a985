import { matmul } from '@reallm/kernels'
import { checkParts, defineCodec, type EncodedMatrix, type GivenOf } from '@reallm/tensor-io'
import { type LowRank, lplrLayout, readLplr } from '@reallm/tensor-io/layouts'
import { metricOf } from '../metric.ts'
import { lplr as factorise } from './lplr.ts'

/** Parameters of the codec `lplr`. */
export type LplrParams = GivenOf<typeof lplrLayout>

/**
 * LPLR and LPLR-SVD (arXiv 2310.11028): `W ≈ L R` with both factors of few bits.
 *
 * @example
 * const stored = await lplrCodec.encode(w, { rank: 64, leftBits: 4, rightBits: 4 }, { seed: 1 })
 */
export const lplrCodec = defineCodec({
  layout: lplrLayout,
  async encode(w, { rank, weighting, ...options }, ctx) {
    const metric = metricOf(ctx, weighting)
    return { parts: factorise(w, rank, { ...options, metric, seed: ctx.seed }).parts }
  },
  decode(e) {
    const { left, right } = readLplr(e)
    return matmul(left, right)
  },
})

/** The factors of a matrix that `lplrCodec` stored; `applyLowRank` multiplies by them. */
export const lplrFactorsOf = (e: EncodedMatrix): LowRank => readLplr(checkParts(lplrLayout, e))
