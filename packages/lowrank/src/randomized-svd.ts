import { matmul, qr, type Svd, svd } from '@reallm/kernels'
import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'
import { checkRank } from '@reallm/tensor-io/layouts'

/** Options of `randomizedSvd`. */
export interface RandomizedSvdOptions {
  readonly seed?: number | undefined
  /** Extra directions of the sketch; 10 by default. */
  readonly oversampling?: number | undefined
  /** Passes of A Aᵀ over the sketch: more where singular values fall slowly; 2 by default. */
  readonly powerIterations?: number | undefined
}

/** A matrix `[rows, cols]` given by its products. */
export interface LinearOperator {
  readonly rows: number
  readonly cols: number
  /** `A X`. */
  times(x: Matrix): Matrix
  /** `Aᵀ X`. */
  timesTransposed(x: Matrix): Matrix
}

/** A matrix as a linear operator. */
const operatorOf = (a: Matrix): LinearOperator => ({
  rows: a.rows,
  cols: a.cols,
  times: x => matmul(a, x),
  timesTransposed: x => matmul(a, x, { transposeA: true }),
})

/**
 * The `rank` leading singular triples of `a` `[m, n]`, from a Gaussian sketch (Halko, Martinsson, Tropp 2011). Where
 * the sketch would be as wide as the matrix, the exact decomposition.
 *
 * @returns `u [m, rank]`, `s`, `v [n, rank]`
 * @throws ReallmError `bad-option` when `rank` is not between 1 and min(m, n)
 * @example
 * const { u, s, v } = randomizedSvd(w, 8, { seed: 1 })
 */
export function randomizedSvd(
  matrix: Matrix | LinearOperator,
  rank: number,
  options: RandomizedSvdOptions = {},
): Svd {
  const a = 'data' in matrix ? operatorOf(matrix) : matrix
  checkRank(rank, a.rows, a.cols)
  const { seed = 0, oversampling = 10, powerIterations = 2 } = options
  const width = rank + oversampling
  if (width >= Math.min(a.rows, a.cols)) return leading(svd(a.times(unit(a.cols))), rank)
  let { q } = qr(a.times(gaussian(a.cols, width, seed)))
  for (let i = 0; i < powerIterations; i++) {
    const back = qr(a.timesTransposed(q))
    q = qr(a.times(back.q)).q
  }
  // Aᵀ Q = V Σ Uᵀ of the small side: A = Q U Σ Vᵀ.
  const small = leading(svd(a.timesTransposed(q)), rank)
  return { u: matmul(q, small.v), s: small.s, v: small.u }
}

/** A `[rows, cols]` matrix of standard normal numbers. */
export function gaussian(rows: number, cols: number, seed: number): Matrix {
  const m = zeroMatrix(rows, cols)
  const { normal } = random(seed)
  for (let i = 0; i < m.data.length; i++) m.data[i] = normal()
  return m
}

/** The first `count` columns of a matrix. */
export function firstColumns(m: Matrix, count: number): Matrix {
  const out = zeroMatrix(m.rows, count)
  for (let r = 0; r < m.rows; r++) out.data.set(m.data.subarray(r * m.cols, r * m.cols + count), r * count)
  return out
}

/** Rows `from` to `to` (exclusive) of a matrix; shares its memory. */
export const rowsOf = (m: Matrix, from: number, to: number): Matrix => ({
  rows: to - from,
  cols: m.cols,
  data: m.data.subarray(from * m.cols, to * m.cols),
})

function unit(n: number): Matrix {
  const m = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) m.data[i * n + i] = 1
  return m
}

function leading({ u, s, v }: Svd, rank: number): Svd {
  return { u: firstColumns(u, rank), s: s.slice(0, rank), v: firstColumns(v, rank) }
}
