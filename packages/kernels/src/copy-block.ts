import type { Matrix } from '@reallm/tensor-io'
import { type Engine, floats, type Pointer } from './engine.ts'

/** Copies `[rows, cols]` at `(row, col)` of a matrix to the kernels' memory, dense. */
export function copyIn(
  e: Engine,
  to: Pointer,
  m: Matrix,
  row: number,
  col: number,
  rows: number,
  cols: number,
): void {
  const view = floats(e, to, rows * cols)
  if (cols === m.cols) {
    view.set(m.data.subarray(row * cols, (row + rows) * cols))
    return
  }
  for (let r = 0; r < rows; r++) {
    const from = (row + r) * m.cols + col
    view.set(m.data.subarray(from, from + cols), r * cols)
  }
}

/** Copies a dense block `[rows, cols]` from the kernels' memory to `(row, col)` of a matrix. */
export function copyOut(
  e: Engine,
  from: Pointer,
  m: Matrix,
  row: number,
  col: number,
  rows: number,
  cols: number,
): void {
  const view = floats(e, from, rows * cols)
  if (cols === m.cols) {
    m.data.set(view, row * cols)
    return
  }
  for (let r = 0; r < rows; r++) m.data.set(view.subarray(r * cols, (r + 1) * cols), (row + r) * m.cols + col)
}
