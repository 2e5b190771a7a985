import { type Matrix, type Tensor, zeroMatrix } from '../../core/tensor.ts'
import { unpackRow } from './packed-rows.ts'

/**
 * Rows of a matrix with one code for every `dim` neighbouring weights, as `grid`, `normalfloat` and `kmeans` store them:
 * `W[r, c] = scale[r, g] · (table[code, c mod dim] − shift[r, g])`.
 */
export interface CodedRows {
  readonly rows: number
  readonly cols: number
  /** Packed, each row in whole bytes. */
  readonly codes: Tensor<'U8'>
  /** Bits of a code. */
  readonly bits: number
  /** Columns that share a code; the last code of a row may have fewer. */
  readonly dim: number
  /** `[2^bits, dim]`. */
  readonly table: Float32Array
  /** `[rows, cols / group]`. */
  readonly scales: Float32Array
  readonly shifts?: Float32Array | undefined
  /** Columns that share a scale. */
  readonly group: number
  /** Which column each place of a row holds; absent: the first place the first, and so on. */
  readonly order?: ((row: number) => Uint16Array) | undefined
}

/** Decodes rows `from` to `to` (exclusive) into `out`, row by row. */
export function decodeCodedRows(m: CodedRows, from: number, to: number, out: Float32Array): void {
  const { cols, codes, bits, dim, table, scales, shifts, group, order } = m
  const perRow = cols / group
  for (let r = from; r < to; r++) {
    const row = unpackRow(codes, r, Math.ceil(cols / dim), bits)
    const places = order?.(r)
    const start = (r - from) * cols
    for (let place = 0, vector = 0, j = 0; place < cols; place++) {
      const c = places ? places[place] : place
      const g = r * perRow + Math.floor(c / group)
      out[start + c] = scales[g] * (table[row[vector] * dim + j] - (shifts ? shifts[g] : 0))
      if (++j === dim) {
        j = 0
        vector++
      }
    }
  }
}

/** All rows, decoded. */
export function decodeCoded(m: CodedRows): Matrix {
  const w = zeroMatrix(m.rows, m.cols)
  decodeCodedRows(m, 0, m.rows, w.data)
  return w
}
