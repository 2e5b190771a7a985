import {
  type CodecWrapper,
  checkParts,
  defineCodec,
  type EncodedMatrix,
  f32ToF16,
  type Matrix,
  tensor,
} from '@reallm/tensor-io'
import { readRowScales, rowScaledLayout } from '@reallm/tensor-io/layouts'

export interface RowScaledParams {
  readonly inner: unknown
}

/** A stored matrix with a trained factor on each of its rows, `diag(g) Ŵ`, kept in half floats. */
export function withRowScales(e: EncodedMatrix, scales: Float32Array): EncodedMatrix<RowScaledParams> {
  const parts = { row_scale: tensor('F16', [e.shape[0]], f32ToF16(scales)) }
  return { codec: rowScaledLayout.codec, params: { inner: e.params }, shape: e.shape, parts, inner: e }
}

/** The factors that `withRowScales` stored. */
export const rowScalesOf = (e: EncodedMatrix): Float32Array => readRowScales(checkParts(rowScaledLayout, e))

export const isRowScaled = (e: EncodedMatrix): boolean => e.codec === rowScaledLayout.codec

/** For the registry: decodes what `withRowScales` stored. Encoding starts with factors of 1. */
export const rowScaled: CodecWrapper = {
  layout: rowScaledLayout,
  wrap: codec =>
    defineCodec({
      layout: rowScaledLayout,
      inner: codec,
      async encode(w, p, ctx) {
        const inner = await codec.encode(w, p.inner, ctx)
        const { parts } = withRowScales(inner, new Float32Array(w.rows).fill(1))
        return { parts, inner }
      },
      decode: (e, inner) => scaleRows(codec.decode(inner), readRowScales(e)),
    }),
}

function scaleRows(m: Matrix, scales: Float32Array): Matrix {
  const data = m.data.map((v, i) => v * scales[Math.floor(i / m.cols)])
  return { ...m, data }
}
