import { packedBytes, unpackBits } from '../../core/bits.ts'
import { f16ToF32 } from '../../core/float.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {} as const satisfies Fields

/**
 * OneBit: `W ≈ sign(W) ⊙ (a bᵀ)`.
 *
 * Parts: `signs` U8 `[⌈rows·cols / 8⌉]`, a bit for each weight, set where it is not negative; `a` F16 `[rows]`; `b` F16 `[cols]`.
 */
export const onebitLayout: StoredLayout<typeof params> = {
  codec: 'onebit',
  params,
  parts: ([rows, cols]) => ({
    signs: { dtype: 'U8', shape: [packedBytes(rows * cols, 1)] },
    a: { dtype: 'F16', shape: [rows] },
    b: { dtype: 'F16', shape: [cols] },
  }),
}

/** Signs as 0 and 1, and both vectors. */
export function readOnebit({ parts, shape: [rows, cols] }: Stored<typeof onebitLayout>) {
  return {
    signs: unpackBits(parts.signs.data as Uint8Array, 1, rows * cols),
    a: f16ToF32(parts.a.data as Uint16Array),
    b: f16ToF32(parts.b.data as Uint16Array),
  }
}
