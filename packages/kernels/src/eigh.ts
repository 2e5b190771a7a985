import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { implicitQl, rotateRows, tridiagonalise } from './reference/eigh.ts'
import { shapeText, squareSize } from './shapes.ts'

export interface Eigen {
  /** Eigenvalues, largest first. */
  readonly values: Float32Array
  /** `[n, n]`: column j belongs to `values[j]`; A = V diag(values) Vᵀ. */
  readonly vectors: Matrix
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix `[n, n]`, in float64 (Householder, implicit QL).
 *
 * @throws ReallmError `numeric` when the matrix holds NaN or infinities
 */
export function eigh(a: Matrix): Eigen {
  const n = squareSize(a, 'the matrix')
  const { values, rows } = eighFloat64(Float64Array.from(a.data), n)
  if (!values.every(Number.isFinite)) {
    throw new ReallmError('numeric', `the matrix ${shapeText(a)} holds NaN or infinities: no eigenvalues`)
  }
  const vectors = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) vectors.data[j * n + i] = rows[i * n + j]
  return { values: Float32Array.from(values), vectors }
}

/** The same in float64, eigenvectors in rows; destroys `a`. */
export function eighFloat64(a: Float64Array, n: number): { values: Float64Array; rows: Float64Array } {
  const { diagonal, off, qt } = tridiagonalise(a, n)
  if (!implicitQl(diagonal, off, qt, n, rotateRows)) diagonal.fill(Number.NaN)
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[j] - diagonal[i] || i - j)
  const rows = new Float64Array(n * n)
  for (const [to, from] of order.entries()) rows.set(qt.subarray(from * n, (from + 1) * n), to * n)
  return { values: Float64Array.from(order, i => diagonal[i]), rows }
}
