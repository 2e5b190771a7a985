import { matmul } from '@reallm/kernels'
import { type Matrix, random, seedFor, type Tensor } from '@reallm/tensor-io'
import { FACTOR_A, FACTOR_B, factorFormats, readFactor } from '@reallm/tensor-io/layouts'
import { fitRight } from '../low-precision.ts'
import { type LowRank, type LowRankOptions, lowRank } from '../low-rank.ts'
import { metricOf } from '../metric.ts'
import { gaussian } from '../randomized-svd.ts'
import { storeFactor } from '../store-factor.ts'

/** Options of `lplr`. */
export interface LplrOptions extends LowRankOptions {
  /** Bits of L's entries: 1 to 8, or 16. */
  readonly leftBits: number
  /** Bits of R's entries. */
  readonly rightBits: number
  /** `gaussian`: L from W S with S Gaussian (LPLR); `svd`: L from U Σ of the truncated SVD (LPLR-SVD). */
  readonly sketch?: 'gaussian' | 'svd' | undefined
  /** Round up or down at random so that the mean is right (dithering), or to the nearest code. */
  readonly rounding?: 'dithered' | 'nearest' | undefined
}

/** Factors of low precision, and what they multiply to. */
export interface Lplr extends LowRank {
  readonly parts: Readonly<Record<string, Tensor>>
}

/**
 * Randomised low-rank, low-precision factors (LPLR, arXiv 2310.11028 algorithm 1): `L = Q(W S)` is a quantised sketch of
 * the column space, `R = Q'(L⁺ W)` the least-squares answer to it, `Q` a uniform quantiser that clips. The metric's
 * input side enters the sketch, its output side the least squares.
 *
 * @throws ReallmError `bad-option` when rank or bits do not fit
 * @example
 * const { left, right } = lplr(image, 32, { leftBits: 4, rightBits: 4, seed: 1 })
 */
export function lplr(w: Matrix, rank: number, options: LplrOptions): Lplr {
  const { leftBits, rightBits, sketch = 'gaussian', rounding = 'dithered', seed = 0 } = options
  const metric = options.metric ?? metricOf({})
  const formats = factorFormats(leftBits, rightBits)
  const { uniform } = random(seedFor(seed, 'dither'))
  const rounded = rounding === 'dithered' ? { dither: () => uniform() - 0.5 } : {}

  const basis =
    sketch === 'gaussian'
      ? matmul(w, metric.input.factor(gaussian(w.cols, rank, seed)))
      : lowRank(w, rank, { ...options, metric }).left
  const leftParts = storeFactor(FACTOR_B, basis, formats.left, rounded)
  const left = readFactor(FACTOR_B, leftParts, w.rows, rank, formats.left)
  const rightParts = storeFactor(FACTOR_A, fitRight(w, left, metric), formats.right, rounded)
  const right = readFactor(FACTOR_A, rightParts, rank, w.cols, formats.right)
  return { left, right, parts: { ...rightParts, ...leftParts } }
}
