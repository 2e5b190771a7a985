import { type Matrix, ReallmError, tileOf } from '@reallm/tensor-io'
import { matmul } from './matmul.ts'
import { shapeText } from './shapes.ts'

/** Hessians of a matrix's inputs, and of its outputs where they are known. */
export interface Hessians {
  /** `H = XᵀX / tokens` of the layer's inputs, `[in, in]`; absent: the identity. */
  readonly hessian?: Matrix | undefined
  /** Output-gradient covariance `E[g gᵀ]`, `[out, out]`; absent: the identity. */
  readonly outputHessian?: Matrix | undefined
}

/**
 * Relative error of a layer's outputs when W is approximated: tr(H_out Δ H Δᵀ) / tr(H_out W H Wᵀ). Without Hessians it is
 * ‖Δ‖² / ‖W‖². 0 is exact; the zero matrix has 1.
 *
 * @param w `[out, in]`
 * @example
 * outputError(w, codec.decode(stored), { hessian }) // 0.02: two per cent of the output's energy
 */
export function outputError(w: Matrix, approximation: Matrix, hessians: Hessians = {}): number {
  if (w.rows !== approximation.rows || w.cols !== approximation.cols) {
    throw new ReallmError(
      'bad-tensor',
      `cannot compare ${shapeText(w)} with its approximation ${shapeText(approximation)}`,
    )
  }
  // Rows of a matrix do not meet without a Hessian of its outputs.
  const height = hessians.outputHessian ? w.rows : ROWS
  let error = 0
  for (let from = 0; from < w.rows; from += height) {
    const [own, other] = [w, approximation].map(m => rowsOf(m, from, height))
    error += squaredNorm({ ...own, data: own.data.map((value, i) => value - other.data[i]) }, hessians)
  }
  return error === 0 ? 0 : error / squaredNorm(w, hessians)
}

/** Rows whose errors are in memory at a time. */
const ROWS = 2048

/** At most `count` rows of a matrix, in its memory. */
const rowsOf = ({ rows, cols, data }: Matrix, from: number, count: number): Matrix => ({
  rows: Math.min(count, rows - from),
  cols,
  data: data.subarray(from * cols, (from + count) * cols),
})

/** Columns of ΔH that are in memory at a time. */
const BAND = 512

/** tr(H_out Δ H Δᵀ), summed in float64. Both Hessians are symmetric: of H the upper triangle is read, in bands of columns. */
export function squaredNorm(delta: Matrix, { hessian, outputHessian }: Hessians = {}): number {
  const left = outputHessian ? matmul(outputHessian, delta) : delta
  if (!hessian) return product(left, delta)
  const { rows, cols } = delta
  let sum = 0
  for (let from = 0; from < cols; from += BAND) {
    const width = Math.min(BAND, cols - from)
    const [own, ownLeft] = [delta, left].map(m => tileOf(m, 0, from, rows, width))
    sum += product(ownLeft, matmul(own, tileOf(hessian, from, from, width, width)))
    if (from === 0) continue
    const before = matmul(tileOf(delta, 0, 0, rows, from), tileOf(hessian, 0, from, from, width))
    sum += 2 * product(ownLeft, before)
  }
  return sum
}

/** The sum of products of entries at the same place, in float64. */
function product(a: Matrix, b: Matrix): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += a.data[i] * b.data[i]
  return sum
}
