import {
  defineCodec,
  type EncodeContext,
  type Matrix,
  type MatrixCodec,
  type StoredLayout,
  tensor,
} from '@reallm/tensor-io'

const layout: StoredLayout = {
  codec: 'recorder',
  params: {},
  parts: ([rows, cols]) => ({ w: { dtype: 'F32', shape: [rows, cols] } }),
}

/** A codec that stores a matrix exactly and records what it was asked to encode. */
export function recorder(): MatrixCodec<object> & { seen?: { w: Matrix; ctx: EncodeContext } } {
  const codec: MatrixCodec<object> & { seen?: { w: Matrix; ctx: EncodeContext } } = defineCodec({
    layout,
    async encode(w, _, ctx) {
      codec.seen = { w, ctx }
      return { parts: { w: tensor('F32', [w.rows, w.cols], Float32Array.from(w.data)) } }
    },
    decode: ({ shape, parts }) => ({ rows: shape[0], cols: shape[1], data: parts.w.data as Float32Array }),
  })
  return codec
}
