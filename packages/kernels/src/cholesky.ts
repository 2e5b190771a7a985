import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { choleskyInPlace, invertLowerInPlace, lowerGram } from './factor64.ts'
import { shapeText, squareSize } from './shapes.ts'

/**
 * Lower triangular L `[n, n]` with A = L Lᵀ, computed in float64; `undefined` when A is not positive definite.
 * Only the lower triangle of `a` is read.
 *
 * @example
 * const l = cholesky(matrix([4, 2, 2, 3], [2, 2])) // [[2, 0], [1, √2]]
 */
export function cholesky(a: Matrix): Matrix | undefined {
  const n = squareSize(a, 'the matrix to factor')
  const work = Float64Array.from(a.data)
  return choleskyInPlace(work, n) ? lowerOf(work, n) : undefined
}

/** A⁻¹ of a symmetric positive definite matrix, computed in float64; `undefined` when it is not. */
export function inverse(a: Matrix): Matrix | undefined {
  const n = squareSize(a, 'the matrix to invert')
  const work = Float64Array.from(a.data)
  if (!choleskyInPlace(work, n)) return undefined
  invertLowerInPlace(work, n)
  return { rows: n, cols: n, data: Float32Array.from(lowerGram(work, n)) }
}

/** A Cholesky factor, and the damping that it took. */
export interface DampedFactor {
  /** U, upper triangular, with (H + damping·I)⁻¹ = UᵀU. */
  readonly factor: Matrix
  /** What was added to the diagonal. */
  readonly damping: number
}

/**
 * The factor that error feedback uses (GPTQ, arXiv 2210.17323): upper triangular U `[n, n]` with (H + damping·I)⁻¹ = UᵀU. The damping is
 * `fraction` of the mean diagonal of H, and grows tenfold until the sum is positive definite.
 *
 * @param fraction 0.01 by default
 * @throws ReallmError `numeric` when H holds NaN or infinities
 */
export function dampedFactor(h: Matrix, fraction = 0.01): DampedFactor {
  const n = squareSize(h, 'the Hessian')
  let trace = 0
  for (let i = 0; i < n; i++) trace += h.data[i * n + i]
  if (!Number.isFinite(trace)) {
    throw new ReallmError('numeric', `the Hessian ${shapeText(h)} holds NaN or infinities`, {
      hint: 'look for overflowing activations in the calibration text',
    })
  }
  const mean = trace > 0 ? trace / n : 1
  const flipped = reversed(h.data)
  for (let tried = Math.max(fraction, 1e-8); tried < 1e8; tried *= 10) {
    const damping = tried * mean
    const work = flipped.slice()
    for (let i = 0; i < n; i++) work[i * n + i] += damping
    const factor = upperFactor(work, n)
    if (factor) return { factor, damping }
  }
  throw new ReallmError('numeric', `the Hessian ${shapeText(h)} is not positive definite at any damping`)
}

function lowerOf(work: Float64Array, n: number): Matrix {
  const out = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) out.data[i * n + j] = work[i * n + j]
  return out
}

/** Rows and columns in reverse order, in float64. */
const reversed = (data: Float32Array): Float64Array => Float64Array.from(data).reverse()

/** With J reversing the order: H = J L Lᵀ J, so H⁻¹ = (J L⁻¹ J)ᵀ (J L⁻¹ J), and J L⁻¹ J is upper triangular. */
function upperFactor(flipped: Float64Array, n: number): Matrix | undefined {
  if (!choleskyInPlace(flipped, n)) return undefined
  invertLowerInPlace(flipped, n)
  const lower = lowerOf(flipped, n)
  lower.data.reverse()
  return lower
}
