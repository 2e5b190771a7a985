import { type Matrix, zeroMatrix } from './tensor.ts'

/** Columns up to which a loop is quicker than a view of each row. */
const NARROW = 64

/** A copy of the `[rows, cols]` tile of `m` at (`row`, `col`), cut off at the edges of `m`. */
export function tileOf(m: Matrix, row: number, col: number, rows: number, cols: number): Matrix {
  const tile = zeroMatrix(Math.min(rows, m.rows - row), Math.min(cols, m.cols - col))
  for (let r = 0; r < tile.rows; r++) {
    const from = (row + r) * m.cols + col
    const to = r * tile.cols
    if (tile.cols > NARROW) tile.data.set(m.data.subarray(from, from + tile.cols), to)
    else for (let c = 0; c < tile.cols; c++) tile.data[to + c] = m.data[from + c]
  }
  return tile
}

/** Writes `tile` into `m` at (`row`, `col`). */
export function putTile(m: Matrix, tile: Matrix, row: number, col: number): void {
  for (let r = 0; r < tile.rows; r++) {
    const from = r * tile.cols
    const to = (row + r) * m.cols + col
    if (tile.cols > NARROW) m.data.set(tile.data.subarray(from, from + tile.cols), to)
    else for (let c = 0; c < tile.cols; c++) m.data[to + c] = tile.data[from + c]
  }
}
