import { matmul } from '@reallm/kernels'
import type { Matrix, Tensor } from '@reallm/tensor-io'
import { FACTOR_A, FACTOR_B, factorFormats, readLowRank } from '@reallm/tensor-io/layouts'
import { type LowRank, type LowRankOptions, lowRank } from './low-rank.ts'
import { dot, type Metric, metricOf, solveGram, solveGramRight } from './metric.ts'
import { type StoreOptions, storeFactor } from './store-factor.ts'

/** Factors as they are stored, and decoded again. */
export interface StoredLowRank extends LowRank {
  /** The stored tensors that `left` and `right` are decoded from. */
  readonly parts: Readonly<Record<string, Tensor>>
  readonly product: Matrix
  /** Squared error under the metric. */
  readonly error: number
}

/** How factors are stored. */
export interface LowPrecisionOptions extends LowRankOptions {
  /** Bits of both factors: 1 to 8, or 16. */
  readonly bits: number
  /** Least-squares refits of one factor to the other's stored values; 4 by default. */
  readonly refits?: number | undefined
}

/** Rounds and stores factors; `left` and `right` of the result are decoded from what is stored. */
export function storeLowRank(
  factors: LowRank,
  bits: number,
  options: StoreOptions = {},
): Omit<StoredLowRank, 'error' | 'product'> {
  const { left, right } = factors
  const rank = right.rows
  if (rank === 0) return { ...factors, parts: {} }
  const formats = factorFormats(bits, bits)
  const parts = {
    ...storeFactor(FACTOR_A, right, formats.right, options),
    ...storeFactor(FACTOR_B, left, formats.left, options),
  }
  return { parts, ...readLowRank(parts, [left.rows, right.cols], rank, bits) }
}

/**
 * Low-rank factors of few bits: the best factors, then each refitted by least squares to the rounded other one, under the
 * metric (the inner loop of CALDERA, arXiv 2405.18886 §4.2). Returns the best of all rounds.
 *
 * @throws ReallmError `bad-option` when rank or bits do not fit
 * @example
 * const { left, right, parts, error } = lowPrecision(w, 16, { bits: 4, metric: metricOf({ hessian }) })
 */
export function lowPrecision(w: Matrix, rank: number, options: LowPrecisionOptions): StoredLowRank {
  const { bits, metric = metricOf({}), refits = 4 } = options
  const errorOf = errorMeter(w, metric)
  let pair = storeLowRank(lowRank(w, rank, options), bits)
  let best = { pair, error: errorOf(pair) }
  for (let i = 0; i < refits && rank > 0 && bits < 16; i++) {
    const { left, right } = pair
    const refitted =
      i % 2 === 0 ? { left, right: fitRight(w, left, metric) } : { left: fitLeft(w, right, metric), right }
    pair = storeLowRank(refitted, bits)
    const error = errorOf(pair)
    if (error < best.error) best = { pair, error }
  }
  return { ...best.pair, product: matmul(best.pair.left, best.pair.right), error: best.error }
}

/** The least-squares right factor for `left`: `(LᵀH_out L)⁻¹ LᵀH_out W`. */
export function fitRight(w: Matrix, left: Matrix, metric: Metric): Matrix {
  const weighted = metric.output.times(left)
  return solveGram(matmul(left, weighted, { transposeA: true }), matmul(weighted, w, { transposeA: true }))
}

/** The least-squares left factor for `right`: `W H Rᵀ (R H Rᵀ)⁻¹`. */
export function fitLeft(w: Matrix, right: Matrix, metric: Metric): Matrix {
  const weighted = metric.input.timesRight(right)
  return solveGramRight(
    matmul(weighted, right, { transposeB: true }),
    matmul(w, weighted, { transposeB: true }),
  )
}

/**
 * Squared error of factors of `w` under a metric, from products with the thin factors only:
 * ‖W − LR‖² = ‖W‖² − 2⟨LᵀG, R⟩ + ⟨LᵀH_out L, R H Rᵀ⟩ with G = H_out W H.
 */
function errorMeter(w: Matrix, { input, output }: Metric): (factors: LowRank) => number {
  const g = output.times(input.timesRight(w))
  const total = dot(w, g)
  return ({ left, right }) => {
    const leftGram = matmul(left, output.times(left), { transposeA: true })
    const rightGram = matmul(input.timesRight(right), right, { transposeB: true })
    const cross = dot(matmul(left, g, { transposeA: true }), right)
    return Math.max(0, total - 2 * cross + dot(leftGram, rightGram))
  }
}
