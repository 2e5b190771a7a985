import { matmul, svd, transpose } from '@reallm/kernels'
import { type Matrix, type MatrixShape, ReallmError } from '@reallm/tensor-io'
import type { LowRank } from '../low-rank.ts'
import { type Metric, metricOf } from '../metric.ts'
import { checkRank, firstColumns } from '../randomized-svd.ts'

/**
 * Reduced-order model of a layer in feature space (LLM-ROM, arXiv 2312.07046): the `rank` leading eigenvectors `V` of the
 * outputs' second moment `cov(Y) = W H Wᵀ` replace the layer by two: `VᵀW` `[rank, in]`, then `V` `[out, rank]`, whose
 * columns are orthonormal. No gradients; of all layers of this rank it loses least of the outputs' energy.
 *
 * @param metric `metricOf({ hessian })`; without one `V` are W's own left singular vectors
 * @example
 * const { left, right } = rom(w, romRank([w.rows, w.cols], 0.5), metricOf({ hessian }))
 */
export function rom(w: Matrix, rank: number, metric: Metric = metricOf({})): LowRank {
  checkRank(rank, w.rows, w.cols)
  // Right singular vectors of Cᵀ Wᵀ, H = C Cᵀ, are the eigenvectors of W H Wᵀ, at the price of the smaller side.
  const left = firstColumns(svd(metric.input.factorTransposed(transpose(w))).v, rank)
  return { left, right: matmul(left, w, { transposeA: true }) }
}

/**
 * Largest rank whose two layers have at most `share` of the parameters of a matrix.
 *
 * @throws ReallmError `bad-option` when not even rank 1 fits
 */
export function romRank([rows, cols]: MatrixShape, share: number): number {
  const rank = Math.min(rows, cols, Math.floor((share * rows * cols) / (rows + cols)))
  if (rank < 1) {
    throw new ReallmError('bad-option', `[${rows}×${cols}]: no rank fits ${share} of the parameters`, {
      hint: `use at least ${((rows + cols) / (rows * cols)).toPrecision(2)}`,
    })
  }
  return rank
}
