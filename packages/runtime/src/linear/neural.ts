import { decodeNerv, type NervShape } from '@reallm/kernels/inference'
import { type EncodedMatrix, type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { type Engine, paddedRows } from '../engine.ts'
import type { StoredRows } from './stored-rows.ts'

/** Rows of a matrix that a neural decoder stands for: it is decoded whole, by the engine's kernels. */
export function nervRows(engine: Engine, e: EncodedMatrix): StoredRows {
  const { data, cols } = decodeNerv(e.parts, e.shape, e.params as NervShape, (x, w) => product(engine, x, w))
  return (from, to, out) => out.set(data.subarray(from * cols, to * cols))
}

/** `x Wᵀ` of matrices outside of the engine's memory. */
function product(engine: Engine, x: Matrix, w: Matrix): Matrix {
  const { kernels, arena } = engine
  const width = 4 * Math.ceil(x.cols / 4)
  const from = upload(engine, x, width)
  const staged = upload(engine, w, width)
  const weights = engine.allocateFloats(paddedRows(w.rows) * width)
  kernels.packFloats(staged, weights, w.rows, width, width, 0)
  const out = engine.allocateFloats(x.rows * w.rows)
  kernels.matmulFloat(weights, from, width, out, w.rows, w.rows, width, x.rows, 0, 1)
  const y = zeroMatrix(x.rows, w.rows)
  y.data.set(arena.floats(out, y.data.length))
  for (const at of [from, staged, weights, out]) arena.free(at)
  return y
}

/** A matrix with its rows widened by zeros. */
function upload(engine: Engine, { rows, cols, data }: Matrix, width: number): number {
  const at = engine.allocateFloats(rows * width)
  const floats = engine.arena.floats(at, rows * width)
  if (cols === width) floats.set(data)
  else {
    floats.fill(0)
    for (let r = 0, from = 0, to = 0; r < rows; r++, from += cols, to += width)
      for (let c = 0; c < cols; c++) floats[to + c] = data[from + c]
  }
  return at
}
