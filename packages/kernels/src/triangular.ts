import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { solveInPlace } from './factor64.ts'
import { shapeText, squareSize } from './shapes.ts'

/** Which triangle is meant, and whether it is transposed. */
export interface TriangularOptions {
  /** `t` is upper triangular; lower by default. The other triangle is not read. */
  readonly upper?: boolean | undefined
  /** Solve Tᵀ X = B. */
  readonly transpose?: boolean | undefined
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
  if (!solveInPlace(Float64Array.from(t.data), transpose, x, n, m, upper === transpose)) {
    const zero = Array.from({ length: n }, (_, i) => i).find(i => t.data[i * n + i] === 0)
    throw new ReallmError('numeric', `the triangular matrix ${shapeText(t)} has a 0 at (${zero}, ${zero})`)
  }
  return { rows: n, cols: m, data: Float32Array.from(x) }
}
