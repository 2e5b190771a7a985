import { f16ToF32 } from '../../core/float.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {} as const satisfies Fields

/**
 * A trained factor on each row of the wrapped matrix, `diag(g) Ŵ`.
 *
 * Parts: `row_scale` F16 `[rows]`.
 */
export const rowScaledLayout: StoredLayout<typeof params> = {
  codec: 'row-scaled',
  wraps: true,
  params,
  parts: ([rows]) => ({ row_scale: { dtype: 'F16', shape: [rows] } }),
}

/** The factors of the rows. */
export const readRowScales = ({ parts }: Pick<Stored<typeof rowScaledLayout>, 'parts'>): Float32Array =>
  f16ToF32(parts.row_scale.data as Uint16Array)
