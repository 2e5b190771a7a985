import { matmul } from '@reallm/kernels'
import { defineCodec, type EncodedMatrix, type Matrix, type MatrixCodec } from '@reallm/tensor-io'
import { loadLowRank, lowPrecision, lowRankCost } from '../low-precision.ts'
import type { LowRank } from '../low-rank.ts'
import { metricOf } from '../metric.ts'
import { checkRank, rowsOf } from '../randomized-svd.ts'
import { type LowRankParams, lowRankParams } from './params.ts'

/**
 * `W ≈ L₁L₂` with both factors on few bits, best under the context's second moments.
 *
 * @example
 * const stored = await lowrank.encode(w, { rank: 16, bits: 8 }, { seed: 1 })
 */
export const lowrank: MatrixCodec<LowRankParams> = defineCodec({
  name: 'lowrank',
  params: lowRankParams,
  cost([rows, cols], { rank, bits }) {
    checkRank(rank, rows, cols)
    return lowRankCost(rows, cols, rank, bits)
  },
  async encode(w, params, ctx) {
    const metric = metricOf(ctx, params.weighting)
    return { parts: lowPrecision(w, params.rank, { ...params, metric, seed: ctx.seed }).parts }
  },
  decode({ parts, shape: [rows, cols], params: { rank, bits } }) {
    const { left, right } = loadLowRank(parts, rows, cols, rank, bits)
    return matmul(left, right)
  },
  decodeRows({ parts, shape: [rows, cols], params: { rank, bits } }, _, from, to) {
    const { left, right } = loadLowRank(parts, rows, cols, rank, bits)
    return matmul(rowsOf(left, from, to), right)
  },
})

/** The factors of a matrix that `lowrank`, `romCodec` or `plusLowRank` stored. */
export function lowRankOf(e: EncodedMatrix): LowRank {
  const { rank, bits } = e.params as { rank: number; bits: number }
  return loadLowRank(e.parts, e.shape[0], e.shape[1], rank, bits)
}

/** `x Wᵀ` for `x` `[n, in]` with `W = L₁L₂`: rank · (in + out) MACs per row instead of in · out. */
export function applyLowRank({ left, right }: LowRank, x: Matrix): Matrix {
  return matmul(matmul(x, right, { transposeB: true }), left, { transposeB: true })
}
