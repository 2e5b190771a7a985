import { type Matrix, putTile, tileOf } from '@reallm/tensor-io'
import { choleskyInPlace, invertLowerInPlace } from './factor64.ts'
import { matmul } from './matmul.ts'

/** Sides above which matrices are factorised in blocks in float32: whole, in float64, each takes several times its own memory. */
export const largestWhole = 2048

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
    const negative = { ...left, data: left.data.map(v => -v) }
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
    const negative = { ...inverted, data: inverted.data.map(v => -v) }
    for (let j = 0; j < i; j += block) {
      const sum = matmul(tileOf(l, i, j, side, i - j), tileOf(l, j, j, i - j, block))
      putTile(l, matmul(negative, sum), i, j)
    }
    putTile(l, inverted, i, i)
  }
}

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
