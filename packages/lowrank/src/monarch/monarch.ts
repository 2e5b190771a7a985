import { matmul } from '@reallm/kernels'
import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { lowRank } from '../low-rank.ts'
import { type Metric, metricOf } from '../metric.ts'
import { rowsOf } from '../randomized-svd.ts'

/** Block structure of a Monarch matrix `[rows, cols]`. */
export interface MonarchShape {
  /** k: diagonal blocks of R; divides the columns. */
  readonly inBlocks: number
  /** l: diagonal blocks of L; divides the rows. */
  readonly outBlocks: number
  /** Rank t of every slice; 1 is Monarch's own. */
  readonly rank: number
}

/**
 * `M = P L Pᵀ R` (arXiv 2204.00595): R takes each of k blocks of inputs to l·t values, L each of l groups of k·t
 * such values to its outputs; P is a permutation. Output `i` belongs to block `i mod l` of L.
 */
export interface Monarch extends MonarchShape {
  /** `[rows, k·t]`: L's blocks `[rows / l, k·t]`, one below the other. */
  readonly left: Matrix
  /** `[k·l·t, cols / k]`: R's blocks `[l·t, cols / k]`, one below the other. */
  readonly right: Matrix
}

export interface MonarchOptions extends MonarchShape {
  readonly hessian?: Matrix | undefined
  readonly outputHessian?: Matrix | undefined
  readonly seed?: number
}

/**
 * The nearest Monarch matrix, found exactly: every slice `[rows / l, cols / k]` (rows of one residue mod l, one block of
 * columns) is replaced by its best rank-t approximation. The diagonal blocks of the Hessians weight each slice.
 *
 * @throws ReallmError `bad-option` when blocks do not divide the shape
 * @example
 * const m = monarch(w, { inBlocks: 24, outBlocks: 24, rank: 1 })
 */
export function monarch(w: Matrix, options: MonarchOptions): Monarch {
  const { inBlocks: k, outBlocks: l, rank: t, seed = 0 } = options
  checkBlocks(w.rows, w.cols, options)
  const [s, p] = [w.rows / l, w.cols / k]
  const left = zeroMatrix(w.rows, k * t)
  const right = zeroMatrix(k * l * t, p)
  for (let b = 0; b < k; b++) {
    const hessian = options.hessian && subHessian(options.hessian, p, i => b * p + i)
    for (let a = 0; a < l; a++) {
      const metric = sliceMetric(
        hessian,
        options.outputHessian && subHessian(options.outputHessian, s, i => i * l + a),
      )
      const slice = zeroMatrix(s, p)
      for (let i = 0; i < s; i++) {
        const from = (i * l + a) * w.cols + b * p
        slice.data.set(w.data.subarray(from, from + p), i * p)
      }
      const factors = lowRank(slice, t, { metric, seed })
      for (let i = 0; i < s; i++) {
        left.data.set(factors.left.data.subarray(i * t, (i + 1) * t), (a * s + i) * k * t + b * t)
      }
      right.data.set(factors.right.data, (b * l + a) * t * p)
    }
  }
  return { inBlocks: k, outBlocks: l, rank: t, left, right }
}

/**
 * `x Mᵀ` for `x` `[n, cols]`, as a structure: t·(l·cols + k·rows) MACs per row instead of rows · cols.
 *
 * @returns `[n, rows]`
 */
export function applyMonarch(m: Monarch, x: Matrix): Matrix {
  const { inBlocks: k, outBlocks: l, rank: t, left, right } = m
  const [s, p, n] = [left.rows / l, right.cols, x.rows]
  const mixed = Array.from({ length: l }, () => zeroMatrix(n, k * t))
  for (let b = 0; b < k; b++) {
    const values = matmul(columns(x, b * p, p), rowsOf(right, b * l * t, (b + 1) * l * t), {
      transposeB: true,
    })
    for (let r = 0; r < n; r++) {
      for (let a = 0; a < l; a++) {
        const from = r * l * t + a * t
        mixed[a].data.set(values.data.subarray(from, from + t), r * k * t + b * t)
      }
    }
  }
  const y = zeroMatrix(n, left.rows)
  for (let a = 0; a < l; a++) {
    const values = matmul(mixed[a], rowsOf(left, a * s, (a + 1) * s), { transposeB: true }).data
    for (let r = 0; r < n; r++)
      for (let i = 0; i < s; i++) y.data[r * left.rows + i * l + a] = values[r * s + i]
  }
  return y
}

/** The dense `[rows, cols]` matrix of a structure. */
export function monarchToDense(m: Monarch): Matrix {
  const { inBlocks: k, outBlocks: l, rank: t, left, right } = m
  const [s, p] = [left.rows / l, right.cols]
  const w = zeroMatrix(left.rows, k * p)
  for (let a = 0; a < l; a++) {
    for (let b = 0; b < k; b++) {
      for (let i = 0; i < s; i++) {
        const at = (i * l + a) * w.cols + b * p
        for (let c = 0; c < t; c++) {
          const factor = left.data[(a * s + i) * k * t + b * t + c]
          const from = ((b * l + a) * t + c) * p
          for (let j = 0; j < p; j++) w.data[at + j] += factor * right.data[from + j]
        }
      }
    }
  }
  return w
}

/** Blocks near the square roots of both sides, where a Monarch matrix has the fewest parameters. */
export function monarchBlocks(rows: number, cols: number): Pick<MonarchShape, 'inBlocks' | 'outBlocks'> {
  return { inBlocks: divisorNear(cols), outBlocks: divisorNear(rows) }
}

export function checkBlocks(rows: number, cols: number, { inBlocks, outBlocks, rank }: MonarchShape): void {
  const name = `[${rows}×${cols}]`
  if (cols % inBlocks !== 0 || rows % outBlocks !== 0) {
    const near = monarchBlocks(rows, cols)
    throw new ReallmError(
      'bad-option',
      `${name}: ${inBlocks} blocks of columns and ${outBlocks} of rows do not divide it`,
      { hint: `use ${near.inBlocks} and ${near.outBlocks}` },
    )
  }
  const most = Math.min(rows / outBlocks, cols / inBlocks)
  if (rank > most) {
    throw new ReallmError(
      'bad-option',
      `${name}: slices of these blocks have at most rank ${most}, not ${rank}`,
    )
  }
}

/** The divisor of n nearest to √n by ratio. */
function divisorNear(n: number): number {
  const distance = (d: number) => Math.abs(Math.log((d * d) / n))
  let best = 1
  for (let d = 1; d <= n; d++) if (n % d === 0 && distance(d) < distance(best) - 1e-9) best = d
  return best
}

function sliceMetric(hessian: Matrix | undefined, outputHessian: Matrix | undefined): Metric {
  return metricOf({ ...(hessian && { hessian }), ...(outputHessian && { outputHessian }) })
}

function subHessian(hessian: Matrix, size: number, index: (i: number) => number): Matrix {
  const out = zeroMatrix(size, size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) out.data[i * size + j] = hessian.data[index(i) * hessian.cols + index(j)]
  }
  return out
}

function columns(m: Matrix, from: number, count: number): Matrix {
  const out = zeroMatrix(m.rows, count)
  for (let r = 0; r < m.rows; r++) {
    out.data.set(m.data.subarray(r * m.cols + from, r * m.cols + from + count), r * count)
  }
  return out
}
