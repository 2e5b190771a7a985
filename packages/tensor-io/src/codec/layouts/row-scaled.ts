import { f16ToF32 } from '../../core/float.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {
  /** Bits of a factor: a half float, or the number of one of 16 steps between the least and the greatest. */
  bits: { of: [4, 16], default: 16 },
} as const satisfies Fields

/**
 * A trained factor on each row of the wrapped matrix, `diag(g) Ŵ`.
 *
 * Parts: `row_scale` F16 `[rows]`; or, with 4 bits, U8 `[⌈rows / 2⌉]`, the first row of two in the lower bits, and `row_range` F32
 * `[2]`, the least factor and the step.
 */
export const rowScaledLayout: StoredLayout<typeof params> = {
  codec: 'row-scaled',
  wraps: true,
  params,
  parts: ([rows], { bits }) =>
    bits === 16
      ? { row_scale: { dtype: 'F16', shape: [rows] } }
      : {
          row_scale: { dtype: 'U8', shape: [Math.ceil(rows / 2)] },
          row_range: { dtype: 'F32', shape: [2] },
        },
}

/** The factors of the rows. */
export function readRowScales({ params, parts, shape }: Stored<typeof rowScaledLayout>): Float32Array {
  if (params.bits === 16) return f16ToF32(parts.row_scale.data as Uint16Array)
  const codes = parts.row_scale.data as Uint8Array
  const [least, step] = parts.row_range.data as Float32Array
  return Float32Array.from(
    { length: shape[0] },
    (_, r) => least + step * ((codes[r >> 1] >> (4 * (r & 1))) & 15),
  )
}
