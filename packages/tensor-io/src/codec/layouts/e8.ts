import type { Fields } from '../field.ts'
import type { StoredLayout } from '../layout.ts'
import { wholeScale, wholeScaleParts } from './scales.ts'

/** Weights of a point of the lattice. */
const DIM = 8

const params = {
  /** Bits per weight: 2, or 3 or 4 with a second stage on the residual. */
  bits: { of: [2, 3, 4] },
  /** One f32 scale for the matrix, or an f16 one for each row. */
  scale: { like: wholeScale, default: 'matrix' },
} as const satisfies Fields

/**
 * An E8 lattice code: 8 neighbouring weights of a row become one of 2^16 points.
 *
 * Parts: `codes` U16 `[rows, ⌈cols / 8⌉]`, `scales` F32 `[1, 1]` or F16 `[rows, 1]`, and `residual` U8 (3 bits) or U16 (4 bits)
 * of the same shape as `codes`.
 */
export const e8Layout: StoredLayout<typeof params> = {
  codec: 'e8',
  params,
  retired: { gain: 1 },
  parts([rows, cols], { bits, scale }) {
    const shape = [rows, Math.ceil(cols / DIM)]
    return {
      codes: { dtype: 'U16', shape },
      ...(bits > 2 ? { residual: { dtype: bits === 3 ? 'U8' : 'U16', shape } } : {}),
      ...wholeScaleParts(scale, rows),
    }
  },
}
