import { type Matrix, ReallmError } from '@reallm/tensor-io'

/** A matrix in int8 with one scale per row: value = scale[row] · code. */
export interface Int8Matrix {
  readonly rows: number
  readonly cols: number
  readonly data: Int8Array
  readonly scales: Float32Array
}

/**
 * Absmax rounding of every row to −127…127 (ties to even). A row of zeros has scale 0.
 *
 * @throws ReallmError `numeric` when a row holds NaN or infinities
 */
export function quantiseRows(m: Matrix): Int8Matrix {
  const { rows, cols } = m
  const data = new Int8Array(rows * cols)
  const scales = new Float32Array(rows)
  for (let i = 0; i < rows; i++) {
    let absmax = 0
    for (let j = 0; j < cols; j++) {
      const size = Math.abs(m.data[i * cols + j])
      if (!(size <= absmax)) absmax = size
    }
    if (!Number.isFinite(absmax)) {
      throw new ReallmError('numeric', `row ${i} of [${rows}, ${cols}] holds NaN or infinities`)
    }
    if (absmax === 0) continue
    scales[i] = absmax / 127
    const inverse = Math.fround(127 / absmax)
    for (let j = 0; j < cols; j++) data[i * cols + j] = roundEven(Math.fround(m.data[i * cols + j] * inverse))
  }
  return { rows, cols, data, scales }
}

/** The matrix that the codes stand for. */
export function dequantiseRows({ rows, cols, data, scales }: Int8Matrix): Matrix {
  const out = new Float32Array(rows * cols)
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[i * cols + j] = scales[i] * data[i * cols + j]
  }
  return { rows, cols, data: out }
}

/** Rounds to the nearest integer, ties to even, as SIMD does: adding 1.5·2²³ leaves no bits for a fraction. */
const roundEven = (x: number): number => Math.fround(x + 12582912) - 12582912
