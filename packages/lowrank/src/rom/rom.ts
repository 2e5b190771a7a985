import { eigh, gram, matmul, qr, transpose } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'
import { checkRank } from '@reallm/tensor-io/layouts'
import type { LowRank } from '../low-rank.ts'
import { type Metric, metricOf } from '../metric.ts'
import { firstColumns } from '../randomized-svd.ts'

/**
 * Reduced-order model of a layer in feature space (LLM-ROM, arXiv 2312.07046): the `rank` leading eigenvectors `V` of the
 * output covariance `W H Wᵀ` replace the layer by two: `VᵀW` `[rank, in]`, then `V` `[out, rank]`, whose columns are
 * orthonormal. Needs no gradients. Of all layers of this rank it has the smallest output error.
 *
 * @param metric `metricOf({ hessian })`; without it `V` are the left singular vectors of W
 * @example
 * const { left, right } = rom(w, romRank([w.rows, w.cols], 0.5), metricOf({ hessian }))
 */
export function rom(w: Matrix, rank: number, metric: Metric = metricOf({})): LowRank {
  checkRank(rank, w.rows, w.cols)
  const left = w.rows <= w.cols ? outputDirections(w, rank, metric) : inputDirections(w, rank, metric)
  return { left, right: matmul(left, w, { transposeA: true }) }
}

/** Leading eigenvectors of `W H Wᵀ`, `[out, rank]`. */
function outputDirections(w: Matrix, rank: number, { input }: Metric): Matrix {
  return firstColumns(eigh(matmul(input.timesRight(w), w, { transposeB: true })).vectors, rank)
}

/** The same from `Cᵀ WᵀW C` where that is smaller, `H = C Cᵀ`: its eigenvectors, mapped by `W C`. */
function inputDirections(w: Matrix, rank: number, { input }: Metric): Matrix {
  const whitened = transpose(input.factorTransposed(transpose(w)))
  const { vectors } = eigh(gram(whitened))
  return qr(matmul(whitened, firstColumns(vectors, rank))).q
}
