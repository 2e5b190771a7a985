import { type Matrix, zeroMatrix } from '@reallm/tensor-io'

/** Copies the `[rows, cols]` window at (`row`, `col`) out of `m`, cut at the edges of `m`. */
export function tileOf(m: Matrix, row: number, col: number, rows: number, cols: number): Matrix {
  const tile = zeroMatrix(Math.min(rows, m.rows - row), Math.min(cols, m.cols - col))
  if (tile.cols === 1) {
    for (let r = 0; r < tile.rows; r++) tile.data[r] = m.data[(row + r) * m.cols + col]
    return tile
  }
  for (let r = 0; r < tile.rows; r++) {
    const from = (row + r) * m.cols + col
    tile.data.set(m.data.subarray(from, from + tile.cols), r * tile.cols)
  }
  return tile
}

/** Writes `tile` into `m` with its top left at (`row`, `col`). */
export function putTile(m: Matrix, tile: Matrix, row: number, col: number): void {
  if (tile.cols === 1) {
    for (let r = 0; r < tile.rows; r++) m.data[(row + r) * m.cols + col] = tile.data[r]
    return
  }
  for (let r = 0; r < tile.rows; r++) {
    m.data.set(tile.data.subarray(r * tile.cols, (r + 1) * tile.cols), (row + r) * m.cols + col)
  }
}

/** Subtracts `tile` from `m` with its top left at (`row`, `col`). */
export function subtractTile(m: Matrix, tile: Matrix, row: number, col: number): void {
  for (let r = 0; r < tile.rows; r++) {
    const at = (row + r) * m.cols + col
    const from = r * tile.cols
    for (let c = 0; c < tile.cols; c++) m.data[at + c] -= tile.data[from + c]
  }
}
