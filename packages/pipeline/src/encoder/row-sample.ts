import type { Matrix } from '@reallm/tensor-io'

/** At most `most` of `all` rows, spread evenly over them. */
export function spreadRows(all: number, most: number): number[] {
  const count = Math.min(most, all)
  return Array.from({ length: count }, (_, r) => Math.floor(((r + 0.5) * all) / count))
}

/** At most `most` rows spread evenly over a matrix, and which ones they are. */
export function rowSample(w: Matrix, most: number): { rows: number[]; w: Matrix } {
  const rows = spreadRows(w.rows, most)
  const data = new Float32Array(rows.length * w.cols)
  for (const [r, row] of rows.entries())
    data.set(w.data.subarray(row * w.cols, (row + 1) * w.cols), r * w.cols)
  return { rows, w: { rows: rows.length, cols: w.cols, data } }
}

/** At most `most` neighbouring rows from the middle of a matrix. */
export function adjacentRows(w: Matrix, most: number): Matrix {
  const rows = Math.min(most, w.rows)
  const first = Math.floor((w.rows - rows) / 2)
  return { rows, cols: w.cols, data: w.data.slice(first * w.cols, (first + rows) * w.cols) }
}
