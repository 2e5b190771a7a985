import { matmul } from '@reallm/kernels'
import { type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { checkRank, type LowRank } from '@reallm/tensor-io/layouts'
import { type Metric, metricOf, scaled } from './metric.ts'
import { type RandomizedSvdOptions, randomizedSvd } from './randomized-svd.ts'

export type { LowRank } from '@reallm/tensor-io/layouts'

/** Options of `lowRank`. */
export interface LowRankOptions extends RandomizedSvdOptions {
  /** Metric of the error; plain squares by default. */
  readonly metric?: Metric | undefined
}

/**
 * The best factors of a rank under a metric: the truncated SVD of `C_outᵀ W C`, mapped back. Singular values are split
 * evenly between both factors. With diagonal weights this is the weighted SVD of LQ-LoRA (arXiv 2311.12023 §3.2).
 *
 * @throws ReallmError `bad-option` when `rank` is not between 0 and min(out, in)
 * @example
 * const { left, right } = lowRank(w, 8, { metric: metricOf({ hessian }) })
 */
export function lowRank(w: Matrix, rank: number, options: LowRankOptions = {}): LowRank {
  checkRank(rank, w.rows, w.cols, 0)
  if (rank === 0) return { left: zeroMatrix(w.rows, 0), right: zeroMatrix(0, w.cols) }
  const { metric = metricOf({}) } = options
  const { input, output } = metric
  const whitened = {
    rows: w.rows,
    cols: w.cols,
    times: (x: Matrix) => output.factorTransposed(matmul(w, input.factor(x))),
    timesTransposed: (x: Matrix) => input.factorTransposed(matmul(w, output.factor(x), { transposeA: true })),
  }
  const { u } = randomizedSvd(whitened, rank, options)
  // U Uᵀ is the best projection of the whitened matrix: the right factor needs no inverse of the input side.
  const right = matmul(output.factor(u), w, { transposeA: true })
  return balanced({ left: output.solveTransposed(u), right })
}

/** The same product with each component's norm split evenly between its column and its row. */
function balanced({ left, right }: LowRank): LowRank {
  const rank = right.rows
  const shares = new Float32Array(rank)
  for (let k = 0; k < rank; k++) {
    let column = 0
    let row = 0
    for (let i = 0; i < left.rows; i++) column += left.data[i * rank + k] ** 2
    for (let j = 0; j < right.cols; j++) row += right.data[k * right.cols + j] ** 2
    shares[k] = column > 0 && row > 0 ? (row / column) ** 0.25 : 1
  }
  const inverses = shares.map(v => 1 / v)
  return { left: scaled(left, shares, 'right'), right: scaled(right, inverses, 'left') }
}
