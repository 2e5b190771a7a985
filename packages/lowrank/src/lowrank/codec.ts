import { matmul } from '@reallm/kernels'
import {
  checkParts,
  defineCodec,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  ReallmError,
} from '@reallm/tensor-io'
import {
  type LowRank,
  lowRankResidualLayout,
  lowrankLayout,
  readLowRankFactors,
  readRom,
  romLayout,
} from '@reallm/tensor-io/layouts'
import { lowPrecision } from '../low-precision.ts'
import { metricOf } from '../metric.ts'
import { rowsOf } from '../randomized-svd.ts'

/** Parameters of the codec `lowrank`. */
export type LowRankParams = GivenOf<typeof lowrankLayout>

/**
 * `W ≈ L₁L₂` with both factors of few bits, best under the context's Hessians.
 *
 * @example
 * const stored = await lowrank.encode(w, { rank: 16, bits: 8 }, { seed: 1 })
 */
export const lowrank = defineCodec({
  layout: lowrankLayout,
  async encode(w, params, ctx) {
    const metric = metricOf(ctx, params.weighting)
    return { parts: lowPrecision(w, params.rank, { ...params, metric, seed: ctx.seed }).parts }
  },
  decode(e) {
    const { left, right } = readLowRankFactors(e)
    return matmul(left, right)
  },
  decodeRows(e, _, from, to) {
    const { left, right } = readLowRankFactors(e)
    return matmul(rowsOf(left, from, to), right)
  },
})

/** The factors of a matrix that `lowrank`, `romCodec` or `plusLowRank` stored; throws `bad-option` for others. */
export function lowRankOf(e: EncodedMatrix): LowRank {
  switch (e.codec) {
    case lowrankLayout.codec:
      return readLowRankFactors(checkParts(lowrankLayout, e))
    case romLayout.codec:
      return readRom(checkParts(romLayout, e))
    case lowRankResidualLayout.codec:
      return readLowRankFactors(checkParts(lowRankResidualLayout, e))
    default:
      throw new ReallmError('bad-option', `a matrix stored by ${e.codec} has no low-rank factors`)
  }
}

/** `x Wᵀ` for `x` `[n, in]` with `W = L₁L₂`: rank · (in + out) MACs per row instead of in · out. */
export function applyLowRank({ left, right }: LowRank, x: Matrix): Matrix {
  return matmul(matmul(x, right, { transposeB: true }), left, { transposeB: true })
}
