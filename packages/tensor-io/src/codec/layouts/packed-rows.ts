import { packBits, packedBytes, unpackBits } from '../../core/bits.ts'
import { type Tensor, tensor } from '../../core/tensor.ts'

/** Shape of codes packed row by row, each row in whole bytes, so that rows can be read alone. */
export const packedShape = (rows: number, perRow: number, width: number): [number, number] => [
  rows,
  packedBytes(perRow, width),
]

/** Packs `[rows, perRow]` codes of `width` bits, every row in whole bytes. */
export function packRows(codes: Uint8Array | Uint16Array, rows: number, width: number): Tensor<'U8'> {
  const perRow = codes.length / rows
  const shape = packedShape(rows, perRow, width)
  const bytes = new Uint8Array(shape[0] * shape[1])
  for (let r = 0; r < rows; r++) {
    bytes.set(packBits(codes.subarray(r * perRow, (r + 1) * perRow), width), r * shape[1])
  }
  return tensor('U8', shape, bytes)
}

/** The codes of one row that `packRows` stored. */
export function unpackRow(packed: Tensor, row: number, perRow: number, width: number): Uint16Array {
  const bytes = packed.shape[1]
  return unpackBits((packed.data as Uint8Array).subarray(row * bytes, (row + 1) * bytes), width, perRow)
}

/** Rows `from` to `to` (exclusive) of packed codes; a view, not a copy. */
export function packedRows(packed: Tensor, from: number, to: number): Tensor<'U8'> {
  const bytes = packed.shape[1]
  const data = (packed.data as Uint8Array<ArrayBuffer>).subarray(from * bytes, to * bytes)
  return { dtype: 'U8', shape: [to - from, bytes], data }
}
