import { matmul } from '@reallm/kernels'
import { type Matrix, tileOf, zeroMatrix } from '@reallm/tensor-io'
import { checkBlocks, type Monarch, type MonarchShape } from '@reallm/tensor-io/layouts'
import { lowRank } from '../low-rank.ts'
import { type Metric, metricOf } from '../metric.ts'
import { rowsOf } from '../randomized-svd.ts'

/** Options of `monarch`. */
export interface MonarchOptions extends MonarchShape {
  readonly hessian?: Matrix | undefined
  readonly outputHessian?: Matrix | undefined
  readonly seed?: number | undefined
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
  checkBlocks([w.rows, w.cols], options)
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
    const values = matmul(tileOf(x, 0, b * p, x.rows, p), rowsOf(right, b * l * t, (b + 1) * l * t), {
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

function sliceMetric(hessian: Matrix | undefined, outputHessian: Matrix | undefined): Metric {
  return metricOf({ hessian, outputHessian })
}

function subHessian(hessian: Matrix, size: number, index: (i: number) => number): Matrix {
  const out = zeroMatrix(size, size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) out.data[i * size + j] = hessian.data[index(i) * hessian.cols + index(j)]
  }
  return out
}
