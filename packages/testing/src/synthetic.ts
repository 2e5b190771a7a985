import { gram, matmul, qr } from '@reallm/kernels'
import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'

/** A `[rows, cols]` matrix of normal numbers. */
export function normals(rows: number, cols: number, seed: number): Matrix {
  const m = zeroMatrix(rows, cols)
  const { normal } = random(seed)
  for (let i = 0; i < m.data.length; i++) m.data[i] = normal()
  return m
}

/** Second moment `[n, n]` of correlated vectors whose directions differ in strength by up to a factor of 30. */
export function correlatedHessian(n: number, seed: number): Matrix {
  const mixing = normals(n, n, seed)
  for (let i = 0; i < n * n; i++) mixing.data[i] *= 30 ** (-Math.floor(i / n) / n) / Math.sqrt(n)
  const x = matmul(normals(4 * n, n, seed + 1), mixing)
  const moment = gram(x)
  for (let i = 0; i < moment.data.length; i++) moment.data[i] /= x.rows
  return moment
}

/** A `[rows, cols]` matrix whose singular values fall as `decay^k`. */
export function decaying(rows: number, cols: number, decay: number, seed: number): Matrix {
  const size = Math.min(rows, cols)
  const { q: u } = qr(normals(rows, size, seed))
  const { q: v } = qr(normals(cols, size, seed + 1))
  const scaled = { ...u, data: u.data.map((value, i) => value * decay ** (i % size)) }
  return matmul(scaled, v, { transposeB: true })
}

/** ‖A − B‖² / ‖A‖² */
export function distance(a: Matrix, b: Matrix): number {
  let [error, norm] = [0, 0]
  for (let i = 0; i < a.data.length; i++) {
    error += (a.data[i] - b.data[i]) ** 2
    norm += a.data[i] ** 2
  }
  return error / norm
}
