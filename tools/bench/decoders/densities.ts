import { dampedFactor, gram, squaredNorm } from '../../../packages/kernels/src/index.ts'
import { type Matrix, zeroMatrix } from '../../../packages/tensor-io/src/index.ts'

/** Bins of a histogram, over ±RANGE deviations. */
const BINS = 256
const RANGE = 8
/** Of the mean diagonal, added to a covariance that was estimated. */
const SHRINKAGE = 0.02

const binOf = (v: number) => Math.max(0, Math.min(BINS - 1, Math.floor((v / RANGE + 1) * (BINS / 2))))

/** A matrix whose rows and columns all have unit variance, by turns. */
export function equalised({ rows, cols, data }: Matrix): Matrix {
  const out = data.slice()
  for (let pass = 0; pass < 8; pass++) {
    const byRow = pass % 2 === 0
    const sums = new Float64Array(byRow ? rows : cols)
    const lineOf = (i: number) => (byRow ? Math.floor(i / cols) : i % cols)
    for (let i = 0; i < out.length; i++) sums[lineOf(i)] += out[i] ** 2
    const factors = sums.map(sum => Math.sqrt(out.length / sums.length / sum))
    for (let i = 0; i < out.length; i++) out[i] *= factors[lineOf(i)]
  }
  return { rows, cols, data: out }
}

/** A histogram of values of unit variance as densities. */
export function histogram(matrices: readonly Matrix[]): Float64Array {
  const counts = new Float64Array(BINS).fill(1)
  let all = BINS
  for (const { data } of matrices) {
    for (const v of data) counts[binOf(v)]++
    all += data.length
  }
  return counts.map(count => ((count / all) * BINS) / (2 * RANGE))
}

/**
 * Bits per weight by which a density describes matrices better than a normal one of their variance. At high rates it is what a
 * decoder made for this density saves at the same error.
 */
export function savedByDensity(matrices: readonly Matrix[], density: Float64Array): number {
  let bits = 0
  let squares = 0
  let all = 0
  for (const { data } of matrices) {
    for (const v of data) {
      bits -= Math.log2(density[binOf(v)])
      squares += v * v
    }
    all += data.length
  }
  return 0.5 * Math.log2((2 * Math.PI * Math.E * squares) / all) - bits / all
}

/** `Σ MᵀM / rows` of matrices of one width. */
export function covarianceOf(matrices: readonly Matrix[]): Matrix {
  const sum = zeroMatrix(matrices[0].cols, matrices[0].cols)
  let rows = 0
  for (const m of matrices) {
    gram(m, sum)
    rows += m.rows
  }
  return { ...sum, data: sum.data.map(v => v / rows) }
}

/** The same for normal rows of one covariance, `[cols, cols]`, against independent columns of one variance. */
export function savedByCovariance(matrices: readonly Matrix[], covariance: Matrix): number {
  const n = covariance.cols
  const { factor } = dampedFactor(covariance, SHRINKAGE)
  let logDeterminant = 0
  for (let i = 0; i < n; i++) logDeterminant -= 2 * Math.log2(factor.data[i * (n + 1)])
  const found = covarianceOf(matrices)
  let variance = 0
  for (let i = 0; i < n; i++) variance += found.data[i * (n + 1)] / n
  const distance = squaredNorm(factor, { hessian: found }) / n
  return 0.5 * (Math.log2(variance) - logDeterminant / n + Math.log2(Math.E) * (1 - distance))
}

/** The fourth moment over the squared second: 3 for normal values. */
export function kurtosis(matrices: readonly Matrix[]): number {
  let [squares, fourths, all] = [0, 0, 0]
  for (const { data } of matrices) {
    for (const v of data) {
      squares += v * v
      fourths += v ** 4
    }
    all += data.length
  }
  return (fourths * all) / squares ** 2
}

export function ofUnitVariance(m: Matrix): Matrix {
  const scale = Math.sqrt(m.data.length / m.data.reduce((sum, v) => sum + v * v, 0))
  return { ...m, data: m.data.map(v => scale * v) }
}
