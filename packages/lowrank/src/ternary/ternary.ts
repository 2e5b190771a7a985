import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'
import { fitLeft } from '../low-precision.ts'
import type { LowRank } from '../low-rank.ts'
import { type Metric, metricOf } from '../metric.ts'

/**
 * A constant sparse ternary matrix `[rank, cols]` with entries −1, 0, 1, a pure function of its seed: none of its
 * entries is ever stored (arXiv 2103.17142).
 *
 * @param density share of entries that are not zero
 */
export function ternaryMatrix(rank: number, cols: number, density: number, seed: number): Matrix {
  const { uniform, sign } = random(seed)
  const t = zeroMatrix(rank, cols)
  for (let i = 0; i < t.data.length; i++) if (uniform() < density) t.data[i] = sign()
  return t
}

/** Options of `ternary`. */
export interface TernaryOptions {
  readonly density: number
  readonly seed: number
  readonly metric?: Metric | undefined
}

/**
 * `W ≈ C T`: `T = ternaryMatrix(…)`, `C` `[out, rank]` by least squares under the metric.
 *
 * @example
 * const { left, right } = ternary(w, 128, { density: 0.1, seed: 1 })
 */
export function ternary(w: Matrix, rank: number, { density, seed, metric }: TernaryOptions): LowRank {
  const right = ternaryMatrix(rank, w.cols, density, seed)
  return { left: fitLeft(w, right, metric ?? metricOf({})), right }
}
