import { type Matrix, putTile, tileOf } from '@reallm/tensor-io'
import { choleskyInPlace, invertLowerInPlace } from './factor64.ts'
import { matmul } from './matmul.ts'

/** Sides above which matrices are factorised in blocks in float32: whole, in float64, each takes several times its own memory. */
export const largestWhole = 1536

/** Sides of the blocks on the diagonal, which are factorised in float64. */
const BLOCK = 512

/**
 * L with A = L Lᵀ in place of `a`, zeros above the diagonal; false when A is not positive definite. Only the lower triangle is
 * read. Memory beside `a`: two bands of `block` rows.
 */
export function choleskyInBlocks(a: Matrix, block = BLOCK): boolean {
  const n = a.rows
  for (let j = 0; j < n; j += block) {
    const side = Math.min(block, n - j)
    const left = tileOf(a, j, 0, side, j)
    const negative = negated(left)
    const corner = tileOf(a, j, j, side, side)
    matmul(left, negative, { transposeB: true, out: corner, accumulate: true })
    const work = new Float64Array(corner.data)
    if (!choleskyInPlace(work, side)) return false
    putTile(a, lowerTriangle(work, side), j, j)
    invertLowerInPlace(work, side)
    const inverted = lowerTriangle(work, side)
    for (let i = j + side; i < n; i += block) {
      const own = tileOf(a, i, j, block, side)
      matmul(tileOf(a, i, 0, block, j), negative, { transposeB: true, out: own, accumulate: true })
      putTile(a, matmul(own, inverted, { transposeB: true }), i, j)
    }
  }
  for (let i = 0; i < n; i++) a.data.fill(0, i * n + i + 1, (i + 1) * n)
  return true
}

/** L⁻¹ in place of `l`, which is 0 above its diagonal. */
export function invertLowerInBlocks(l: Matrix, block = BLOCK): void {
  for (let i = 0; i < l.rows; i += block) {
    const corner = tileOf(l, i, i, block, block)
    const side = corner.rows
    const work = new Float64Array(corner.data)
    invertLowerInPlace(work, side)
    const inverted = lowerTriangle(work, side)
    const negative = negated(inverted)
    for (let j = 0; j < i; j += block) {
      const sum = matmul(tileOf(l, i, j, side, i - j), tileOf(l, j, j, i - j, block))
      putTile(l, matmul(negative, sum), i, j)
    }
    putTile(l, inverted, i, i)
  }
}

/** X `[m, n]` with X L Lᵀ = B, in place of B. */
export function solveInBlocks(b: Matrix, l: Matrix, block = BLOCK): void {
  const n = l.rows
  const columns = (from: number, count: number) => tileOf(b, 0, from, b.rows, count)
  /** Puts what solves the columns from `from` on, given the negative of what is left of them. */
  const solve = (left: Matrix, from: number, transposeB: boolean) => {
    const corner = tileOf(l, from, from, left.cols, left.cols)
    const work = new Float64Array(corner.data)
    invertLowerInPlace(work, left.cols)
    putTile(b, matmul(left, negated(lowerTriangle(work, left.cols)), { transposeB }), 0, from)
  }
  for (let from = 0; from < n; from += block) {
    const left = negated(columns(from, block))
    const before = tileOf(l, from, 0, left.cols, from)
    matmul(columns(0, from), before, { transposeB: true, out: left, accumulate: true })
    solve(left, from, true)
  }
  for (let from = block * Math.floor((n - 1) / block); from >= 0; from -= block) {
    const left = negated(columns(from, block))
    const after = from + left.cols
    const below = tileOf(l, after, from, n - after, left.cols)
    matmul(columns(after, n - after), below, { out: left, accumulate: true })
    solve(left, from, false)
  }
}

const negated = (m: Matrix): Matrix => ({ ...m, data: m.data.map(v => -v) })

/** LᵀL in place of `l`, which is 0 above its diagonal. */
export function lowerGramInBlocks(l: Matrix, block = BLOCK): void {
  const n = l.rows
  for (let i = 0; i < n; i += block) {
    const below = tileOf(l, i, i, n - i, block)
    // The diagonal last: the others are made of it.
    for (let j = 0; j <= i; j += block)
      putTile(l, matmul(below, tileOf(l, i, j, n - i, block), { transposeA: true }), i, j)
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) l.data[j * n + i] = l.data[i * n + j]
}

/** The lower triangle as a matrix. */
export function lowerTriangle(values: Float64Array, n: number): Matrix {
  const data = new Float32Array(values)
  for (let i = 0; i < n; i++) data.fill(0, i * n + i + 1, (i + 1) * n)
  return { rows: n, cols: n, data }
}
