import {
  type CodecWrapper,
  defineCodec,
  type EncodedMatrix,
  f16ToF32,
  f32ToF16,
  type Matrix,
  type MatrixCodec,
  tensor,
} from '@reallm/tensor-io'
import * as z from 'zod'

export interface RowScaledParams {
  readonly inner: unknown
}

const NAME = 'row-scaled'

/** A stored matrix with a trained factor on each of its rows, `diag(g) Ŵ`, kept in half floats. */
export function withRowScales(e: EncodedMatrix, scales: Float32Array): EncodedMatrix<RowScaledParams> {
  const parts = { row_scale: tensor('F16', [e.shape[0]], f32ToF16(scales)) }
  return { codec: NAME, params: { inner: e.params }, shape: e.shape, parts, inner: e }
}

/** The factors that `withRowScales` stored. */
export const rowScalesOf = (e: EncodedMatrix): Float32Array => f16ToF32(e.parts.row_scale.data as Uint16Array)

export const isRowScaled = (e: EncodedMatrix): boolean => e.codec === NAME

/** For the registry: decodes what `withRowScales` stored. Encoding starts with factors of 1. */
export const rowScaled: CodecWrapper = {
  name: NAME,
  wrap(codec: MatrixCodec): MatrixCodec {
    const params = z.object({ inner: codec.params }) as unknown as z.ZodType<RowScaledParams>
    return defineCodec({
      name: NAME,
      params,
      inner: codec as MatrixCodec<never>,
      cost: ([rows]) => ({ row_scale: { dtype: 'F16', shape: [rows] } }),
      async encode(w, p, ctx) {
        const inner = await codec.encode(w, p.inner, ctx)
        const { parts } = withRowScales(inner, new Float32Array(w.rows).fill(1))
        return { parts, inner }
      },
      decode: (e, inner) => scaleRows(codec.decode(inner), rowScalesOf(e)),
    }) as MatrixCodec
  },
}

function scaleRows(m: Matrix, scales: Float32Array): Matrix {
  const data = m.data.map((v, i) => v * scales[Math.floor(i / m.cols)])
  return { ...m, data }
}
