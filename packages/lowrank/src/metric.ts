import { cholesky, matmul, solveTriangular, transpose } from '@reallm/kernels'
import { type EncodeContext, type Matrix, ReallmError } from '@reallm/tensor-io'

/** Error metric tr(H_out Δ H Δᵀ), each side dense, diagonal or absent (the identity). */
export interface Metric {
  readonly input: Side
  readonly output: Side
  /** Squared norm of an error `[out, in]`. */
  norm(delta: Matrix): number
}

/** One side of a metric, `H = C Cᵀ`; a diagonal one is never formed as a matrix. */
interface Side {
  /** `H X`. */
  times(x: Matrix): Matrix
  /** `X H`. */
  timesRight(x: Matrix): Matrix
  /** `C X`. */
  factor(x: Matrix): Matrix
  /** `Cᵀ X`. */
  factorTransposed(x: Matrix): Matrix
  /** `C⁻ᵀ X`. */
  solveTransposed(x: Matrix): Matrix
}

/**
 * How much of the Hessians counts: `full` matrices; only their `diagonal` (LQ-LoRA's Fisher weighting, with
 * E[g²] E[x²] instead of the row and column means of the Fisher diagonal); or `none`.
 */
export type Weighting = 'full' | 'diagonal' | 'none'

/** The metric of an encode context. Factorises when first needed, once. */
export function metricOf(
  { hessian, outputHessian }: Pick<EncodeContext, 'hessian' | 'outputHessian'>,
  weighting: Weighting = 'full',
): Metric {
  const input = sideOf(hessian, weighting)
  const output = sideOf(outputHessian, weighting)
  return { input, output, norm: delta => dot(input.timesRight(delta), output.times(delta)) }
}

const same = (x: Matrix) => x
const identity: Side = {
  times: same,
  timesRight: same,
  factor: same,
  factorTransposed: same,
  solveTransposed: same,
}

function sideOf(hessian: Matrix | undefined, weighting: Weighting): Side {
  if (!hessian || weighting === 'none') return identity
  return weighting === 'diagonal' ? diagonalSide(hessian) : denseSide(hessian)
}

function denseSide(hessian: Matrix): Side {
  let factor: Matrix | undefined
  const c = () => (factor ??= dampedCholesky(hessian))
  return {
    times: x => matmul(hessian, x),
    timesRight: x => matmul(x, hessian),
    factor: x => matmul(c(), x),
    factorTransposed: x => matmul(c(), x, { transposeA: true }),
    solveTransposed: x => solveTriangular(c(), x, { transpose: true }),
  }
}

function diagonalSide(hessian: Matrix): Side {
  const n = hessian.rows
  const weights = Float32Array.from({ length: n }, (_, i) => Math.max(0, hessian.data[i * n + i]))
  const least = 1e-6 * (weights.reduce((sum, v) => sum + v, 0) / n || 1)
  const roots = weights.map(v => Math.sqrt(v + least))
  const inverses = roots.map(v => 1 / v)
  const timesRoots = (x: Matrix) => scaled(x, roots, 'left')
  return {
    times: x => scaled(x, weights, 'left'),
    timesRight: x => scaled(x, weights, 'right'),
    factor: timesRoots,
    factorTransposed: timesRoots,
    solveTransposed: x => scaled(x, inverses, 'left'),
  }
}

/** `diag(d) A` or `A diag(d)`. */
export function scaled(a: Matrix, d: ArrayLike<number>, side: 'left' | 'right'): Matrix {
  const { cols } = a
  return { ...a, data: a.data.map((v, i) => v * d[side === 'left' ? Math.floor(i / cols) : i % cols]) }
}

/** Lower Cholesky factor of a Hessian that may be singular, with the least damping that works. */
function dampedCholesky(hessian: Matrix): Matrix {
  const n = hessian.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += hessian.data[i * n + i]
  const mean = trace > 0 ? trace / n : 1
  for (let share = 1e-6; share < 10; share *= 10) {
    const damped = { ...hessian, data: hessian.data.slice() }
    for (let i = 0; i < n; i++) damped.data[i * n + i] += share * mean
    const factor = cholesky(damped)
    if (factor) return factor
  }
  throw new ReallmError('numeric', `the Hessian [${n}, ${n}] is not positive definite at any damping`, {
    hint: 'look for NaN or infinities in the calibration activations',
  })
}

/** Sum of products of two matrices' entries, in float64. */
export function dot(a: Matrix, b: Matrix): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += a.data[i] * b.data[i]
  return sum
}

/** `A − B`. */
export const difference = (a: Matrix, b: Matrix): Matrix => ({
  ...a,
  data: a.data.map((value, i) => value - b.data[i]),
})

/** Solves `G X = B` for a small positive semidefinite `G` `[r, r]` and `B` `[r, n]`. */
export function solveGram(gram: Matrix, b: Matrix): Matrix {
  const lower = dampedCholesky(gram)
  return solveTriangular(lower, solveTriangular(lower, b), { transpose: true })
}

/** Solves `X G = B` for `X` `[m, r]`. */
export const solveGramRight = (gram: Matrix, b: Matrix): Matrix => transpose(solveGram(gram, transpose(b)))
