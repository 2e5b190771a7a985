import { type CodedBlob, floatBlob } from '@reallm/kernels/webgpu'

/** Writes rows `from` to `to` (exclusive) to `out`. */
export type RowsOf = (from: number, to: number, out: Float32Array) => void

/** Floats decoded at a time. */
const STAGED = 1 << 18

/** A matrix as floats of 16 or 32 bits, or as whole numbers of 8. */
export function expanded(rows: number, cols: number, bits: 8 | 16 | 32, rowsOf: RowsOf): CodedBlob {
  const blob = floatBlob(rows, cols, bits)
  const step = Math.max(1, Math.floor(STAGED / cols))
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step)
    const values = new Float32Array((to - from) * cols)
    rowsOf(from, to, values)
    blob.write(values)
  }
  return blob.finish()
}
