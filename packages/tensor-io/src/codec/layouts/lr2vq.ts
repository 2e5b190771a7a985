import { packedBytes, unpackBits } from '../../core/bits.ts'
import { ReallmError } from '../../core/errors.ts'
import { f16ToF32 } from '../../core/float.ts'
import type { Matrix } from '../../core/tensor.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {
  /** Bits of a code: 2^codeBits codewords. */
  codeBits: { whole: [1, 16], default: 8 },
  /** d: neighbouring weights of a row that share a code. */
  vector: { whole: [2, 64], default: 4 },
  /** d̃: dimensions of a codeword before it is projected to d weights. */
  dim: { whole: [1, 64], default: 3 },
  /** Rounds of assignment and least squares. */
  iterations: { whole: [1], default: 12 },
} as const satisfies Fields

/**
 * LR²VQ: `vector` neighbouring weights of a row are the row's scale times a codeword of `dim` dimensions, projected.
 *
 * Parts: `codes` U8 `[⌈rows·⌈cols / vector⌉·codeBits / 8⌉]`, `codebook` F16 `[2^codeBits, dim]`, `projection` F16
 * `[dim, vector]`, `scales` F16 `[rows]`.
 */
export const lr2vqLayout: StoredLayout<typeof params> = {
  codec: 'lr2vq',
  params,
  parts([rows, cols], { codeBits, vector, dim }) {
    if (dim > vector) {
      throw new ReallmError('bad-option', `lr2vq: dim ${dim} is larger than vector ${vector}`, {
        hint: `use 1 to ${vector}`,
      })
    }
    return {
      codes: { dtype: 'U8', shape: [packedBytes(rows * Math.ceil(cols / vector), codeBits)] },
      codebook: { dtype: 'F16', shape: [2 ** codeBits, dim] },
      projection: { dtype: 'F16', shape: [dim, vector] },
      scales: { dtype: 'F16', shape: [rows] },
    }
  },
}

/** Codes and scales of rows `from` to `to` (exclusive), codewords and their projection. */
export function readLr2vq({ parts, params, shape }: Stored<typeof lr2vqLayout>, from = 0, to = shape[0]) {
  const { codeBits, vector } = params
  const perRow = Math.ceil(shape[1] / vector)
  const half = (part: string): Matrix => {
    const { shape, data } = parts[part]
    return { rows: shape[0], cols: shape[1], data: f16ToF32(data as Uint16Array) }
  }
  return {
    codes: unpackBits(parts.codes.data as Uint8Array, codeBits, (to - from) * perRow, from * perRow),
    scales: f16ToF32((parts.scales.data as Uint16Array).subarray(from, to)),
    codebook: half('codebook'),
    projection: half('projection'),
  }
}
