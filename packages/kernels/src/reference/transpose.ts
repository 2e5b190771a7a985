import { type Matrix, zeroMatrix } from '@reallm/tensor-io'

const BLOCK = 32

/** The transpose of `[m, n]` as a new `[n, m]` matrix. */
export function transpose(a: Matrix): Matrix {
  const { rows, cols, data } = a
  const out = zeroMatrix(cols, rows)
  for (let i0 = 0; i0 < rows; i0 += BLOCK) {
    const i1 = Math.min(rows, i0 + BLOCK)
    for (let j0 = 0; j0 < cols; j0 += BLOCK) {
      const j1 = Math.min(cols, j0 + BLOCK)
      for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) out.data[j * rows + i] = data[i * cols + j]
    }
  }
  return out
}
