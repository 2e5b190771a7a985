import { cholesky, matmul, solveTriangular, transpose } from '@reallm/kernels'
import { type EncodeContext, type Matrix, ReallmError } from '@reallm/tensor-io'

/** What an error is measured by: tr(H_out Δ H Δᵀ) with either side dense, diagonal or absent (the identity). */
export interface Metric {
  readonly input: Side
  readonly output: Side
  /** Squared norm of an error `[out, in]`. */
  norm(delta: Matrix): number
}

/** One side of a metric: `H = C Cᵀ`, which never need be formed where it is diagonal. */
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
 * How much of the second moments counts: `full` matrices; only their `diagonal` (LQ-LoRA's Fisher weighting, with
 * E[g²] E[x²] in place of the row and column means of the Fisher diagonal); or `none`.
 */
export type Weighting = 'full' | 'diagonal' | 'none'

/** The metric of an encode context. Factorisations are made when first needed and kept. */
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

function sideOf(moment: Matrix | undefined, weighting: Weighting): Side {
  if (!moment || weighting === 'none') return identity
  return weighting === 'diagonal' ? diagonalSide(moment) : denseSide(moment)
}

function denseSide(moment: Matrix): Side {
  let factor: Matrix | undefined
  const c = () => (factor ??= firmCholesky(moment))
  return {
    times: x => matmul(moment, x),
    timesRight: x => matmul(x, moment),
    factor: x => matmul(c(), x),
    factorTransposed: x => matmul(c(), x, { transposeA: true }),
    solveTransposed: x => solveTriangular(c(), x, { transpose: true }),
  }
}

function diagonalSide(moment: Matrix): Side {
  const n = moment.rows
  const weights = Float32Array.from({ length: n }, (_, i) => Math.max(0, moment.data[i * n + i]))
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

/** Lower Cholesky factor of a second moment, which may be singular: as little is added to its diagonal as works. */
function firmCholesky(moment: Matrix): Matrix {
  const n = moment.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += moment.data[i * n + i]
  const mean = trace > 0 ? trace / n : 1
  for (let share = 1e-6; share < 10; share *= 10) {
    const firm = { ...moment, data: moment.data.slice() }
    for (let i = 0; i < n; i++) firm.data[i * n + i] += share * mean
    const factor = cholesky(firm)
    if (factor) return factor
  }
  throw new ReallmError('numeric', `the second moment [${n}, ${n}] is not positive definite at any damping`, {
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

/** Solves `G X = B` for a small symmetric `G` `[r, r]`, not negative, and `B` `[r, n]`. */
export function solveGram(gram: Matrix, b: Matrix): Matrix {
  const lower = firmCholesky(gram)
  return solveTriangular(lower, solveTriangular(lower, b), { transpose: true })
}

/** Solves `X G = B` for `X` `[m, r]`. */
export const solveGramRight = (gram: Matrix, b: Matrix): Matrix => transpose(solveGram(gram, transpose(b)))
