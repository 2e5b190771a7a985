import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { shapeText, squareSize } from './shapes.ts'

export interface TriangularOptions {
  /** `t` is upper triangular; lower by default. The other triangle is not read. */
  readonly upper?: boolean
  /** Solve Tᵀ X = B. */
  readonly transpose?: boolean
}

/**
 * Solves T X = B for triangular T `[n, n]` and B `[n, m]`, in float64.
 *
 * @throws ReallmError `numeric` when a diagonal entry is 0
 * @example
 * const x = solveTriangular(matrix([2, 0, 1, 1], [2, 2]), matrix([2, 3], [2, 1])) // [[1], [2]]
 */
export function solveTriangular(t: Matrix, b: Matrix, options: TriangularOptions = {}): Matrix {
  const n = squareSize(t, 'the triangular matrix')
  if (b.rows !== n) {
    throw new ReallmError('bad-tensor', `cannot solve ${shapeText(t)} for right-hand sides ${shapeText(b)}`)
  }
  const { upper = false, transpose = false } = options
  const m = b.cols
  const x = Float64Array.from(b.data)
  const forward = upper === transpose
  for (let step = 0; step < n; step++) {
    const i = forward ? step : n - 1 - step
    for (let past = 0; past < step; past++) {
      const j = forward ? past : n - 1 - past
      const factor = t.data[transpose ? j * n + i : i * n + j]
      if (factor !== 0) for (let c = 0; c < m; c++) x[i * m + c] -= factor * x[j * m + c]
    }
    const pivot = t.data[i * n + i]
    if (pivot === 0)
      throw new ReallmError('numeric', `the triangular matrix ${shapeText(t)} has a 0 at (${i}, ${i})`)
    for (let c = 0; c < m; c++) x[i * m + c] /= pivot
  }
  return { rows: n, cols: m, data: Float32Array.from(x) }
}
