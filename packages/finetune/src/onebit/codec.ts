import {
  defineCodec,
  type EncodedMatrix,
  f16ToF32,
  f32ToF16,
  type Matrix,
  type MatrixCodec,
  packBits,
  packedBytes,
  tensor,
  unpackBits,
} from '@reallm/tensor-io'
import * as z from 'zod'
import { type SignValue, svid } from './svid.ts'

/**
 * One bit per weight and two vectors of half floats: `W ≈ sign(W) ⊙ (a bᵀ)` (OneBit, arXiv 2402.11295). Without the
 * training of `oneBit` it is a rough start only.
 *
 * @example
 * const stored = await onebit.encode(w, {}, { seed: 1 })
 */
export const onebit: MatrixCodec<object> = defineCodec<object, object>({
  name: 'onebit',
  params: z.object({}),
  cost: ([rows, cols]) => ({
    signs: { dtype: 'U8', shape: [packedBytes(rows * cols, 1)] },
    a: { dtype: 'F16', shape: [rows] },
    b: { dtype: 'F16', shape: [cols] },
  }),
  encode: async w => ({ parts: storeSigns(w, svid(w)).parts }),
  decode({ parts, shape: [rows, cols] }) {
    const bits = unpackBits(parts.signs.data as Uint8Array, 1, rows * cols)
    const [a, b] = [parts.a, parts.b].map(part => f16ToF32(part.data as Uint16Array))
    const data = Float32Array.from(bits, (bit, i) => (bit ? 1 : -1) * a[Math.floor(i / cols)] * b[i % cols])
    return { rows, cols, data }
  },
})

/** The signs of `w` with these vectors, as `onebit` stores them. */
export function storeSigns(w: Matrix, { a, b }: SignValue): EncodedMatrix<object> {
  const signs = packBits(
    Uint8Array.from(w.data, v => (v >= 0 ? 1 : 0)),
    1,
  )
  return {
    codec: 'onebit',
    params: {},
    shape: [w.rows, w.cols],
    parts: {
      signs: tensor('U8', [signs.length], signs),
      a: tensor('F16', [w.rows], f32ToF16(a)),
      b: tensor('F16', [w.cols], f32ToF16(b)),
    },
  }
}
