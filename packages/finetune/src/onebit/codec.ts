import {
  defineCodec,
  type EncodedMatrix,
  f32ToF16,
  type Matrix,
  type MatrixCodec,
  packBits,
  tensor,
} from '@reallm/tensor-io'
import { onebitLayout, readOnebit } from '@reallm/tensor-io/layouts'
import { type SignValue, svid } from './svid.ts'

/**
 * One bit per weight and two vectors of half floats: `W ≈ sign(W) ⊙ (a bᵀ)` (OneBit, arXiv 2402.11295). Without the
 * training of `oneBit` it is a rough start only.
 *
 * @example
 * const stored = await onebit.encode(w, {}, { seed: 1 })
 */
export const onebit: MatrixCodec<object> = defineCodec({
  layout: onebitLayout,
  encode: async w => ({ parts: storeSigns(w, svid(w)).parts }),
  decode(e) {
    const [rows, cols] = e.shape
    const { signs, a, b } = readOnebit(e)
    const data = Float32Array.from(signs, (bit, i) => (bit ? 1 : -1) * a[Math.floor(i / cols)] * b[i % cols])
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
    codec: onebitLayout.codec,
    params: {},
    shape: [w.rows, w.cols],
    parts: {
      signs: tensor('U8', [signs.length], signs),
      a: tensor('F16', [w.rows], f32ToF16(a)),
      b: tensor('F16', [w.cols], f32ToF16(b)),
    },
  }
}
