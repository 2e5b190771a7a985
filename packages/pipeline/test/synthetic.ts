import { gram, matmul } from '@reallm/kernels'
import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'

/** A `[rows, cols]` matrix of normal numbers. */
export function normals(rows: number, cols: number, seed: number): Matrix {
  const m = zeroMatrix(rows, cols)
  const { normal } = random(seed)
  for (let i = 0; i < m.data.length; i++) m.data[i] = normal()
  return m
}

/** Second moment `[n, n]` of correlated vectors whose directions differ in strength by up to a factor of 30. */
export function correlatedMoment(n: number, seed: number): Matrix {
  const mixing = normals(n, n, seed)
  for (let i = 0; i < n * n; i++) mixing.data[i] *= 30 ** (-Math.floor(i / n) / n) / Math.sqrt(n)
  const x = matmul(normals(4 * n, n, seed + 1), mixing)
  const moment = gram(x)
  for (let i = 0; i < moment.data.length; i++) moment.data[i] /= x.rows
  return moment
}
