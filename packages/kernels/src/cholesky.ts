import { type Matrix, ReallmError } from '@reallm/tensor-io'
import {
  choleskyInBlocks,
  invertLowerInBlocks,
  largestWhole,
  lowerGramInBlocks,
  lowerTriangle,
  solveInBlocks,
} from './factor-in-blocks.ts'
import { choleskyInPlace, invertLowerInPlace, lowerGram } from './factor64.ts'
import { matmul } from './matmul.ts'
import { shapeText, squareSize } from './shapes.ts'

/**
 * Lower triangular L `[n, n]` with A = L Lᵀ; `undefined` when A is not positive definite. Only the lower triangle of `a` is
 * read. Here and below, sides of up to 1536 are computed in float64, larger ones in blocks in float32.
 *
 * @example
 * const l = cholesky(matrix([4, 2, 2, 3], [2, 2])) // [[2, 0], [1, √2]]
 */
export function cholesky(a: Matrix): Matrix | undefined {
  const n = squareSize(a, 'the matrix to factor')
  if (n > largestWhole) {
    const factor = { ...a, data: a.data.slice() }
    return choleskyInBlocks(factor) ? factor : undefined
  }
  const work = new Float64Array(a.data)
  return choleskyInPlace(work, n) ? lowerTriangle(work, n) : undefined
}

/** (A + shift·I)⁻¹ of a symmetric positive definite sum; `undefined` when it is not. */
export function inverse(a: Matrix, shift = 0): Matrix | undefined {
  const n = squareSize(a, 'the matrix to invert')
  if (n > largestWhole) {
    const work = { ...a, data: a.data.slice() }
    for (let i = 0; i < n; i++) work.data[i * n + i] += shift
    if (!choleskyInBlocks(work)) return undefined
    invertLowerInBlocks(work)
    lowerGramInBlocks(work)
    return work
  }
  const work = new Float64Array(a.data)
  for (let i = 0; i < n; i++) work[i * n + i] = Math.fround(work[i * n + i] + shift)
  if (!choleskyInPlace(work, n)) return undefined
  invertLowerInPlace(work, n)
  return { rows: n, cols: n, data: Float32Array.from(lowerGram(work, n)) }
}

/**
 * Adds B (A + shift·I)⁻¹ to `sum`, both `[m, n]`, of a symmetric positive definite A + shift·I, `[n, n]`; false when it is not. Of a
 * large one the inverse is not made: to solve by its factor takes as long as one product with it.
 */
export function addTimesInverse(sum: Matrix, b: Matrix, a: Matrix, shift = 0): boolean {
  const n = squareSize(a, 'the matrix to divide by')
  if (n <= largestWhole) {
    const inverted = inverse(a, shift)
    if (inverted) matmul(b, inverted, { out: sum, accumulate: true })
    return inverted !== undefined
  }
  const l = { ...a, data: a.data.slice() }
  for (let i = 0; i < n; i++) l.data[i * n + i] += shift
  if (!choleskyInBlocks(l)) return false
  const x = { ...b, data: b.data.slice() }
  solveInBlocks(x, l)
  for (let i = 0; i < x.data.length; i++) sum.data[i] += x.data[i]
  return true
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
  for (let tried = Math.max(fraction, 1e-8); tried < 1e8; tried *= 10) {
    const damping = tried * mean
    const factor = upperFactor(h, damping)
    if (factor) return { factor, damping }
  }
  throw new ReallmError('numeric', `the Hessian ${shapeText(h)} is not positive definite at any damping`)
}

/**
 * With J reversing the order: H + damping·I = J L Lᵀ J, so its inverse is (J L⁻¹ J)ᵀ (J L⁻¹ J), and J L⁻¹ J is upper
 * triangular.
 */
function upperFactor({ rows: n, data }: Matrix, damping: number): Matrix | undefined {
  if (n > largestWhole) {
    const lower = { rows: n, cols: n, data: data.slice().reverse() }
    for (let i = 0; i < n; i++) lower.data[i * n + i] += damping
    if (!choleskyInBlocks(lower)) return undefined
    invertLowerInBlocks(lower)
    lower.data.reverse()
    return lower
  }
  const flipped = new Float64Array(data).reverse()
  for (let i = 0; i < n; i++) flipped[i * n + i] += damping
  if (!choleskyInPlace(flipped, n)) return undefined
  invertLowerInPlace(flipped, n)
  const lower = lowerTriangle(flipped, n)
  lower.data.reverse()
  return lower
}
