import {
  type CodecWrapper,
  checkParts,
  defineCodec,
  type EncodedMatrix,
  f32ToF16,
  type Matrix,
  type ParamsOf,
  tensor,
} from '@reallm/tensor-io'
import { readRowScales, rowScaledLayout } from '@reallm/tensor-io/layouts'

/** Bits of a row factor. */
type RowScaleBits = ParamsOf<typeof rowScaledLayout>['bits']

export interface RowScaledParams {
  readonly bits: RowScaleBits
  readonly inner: unknown
}

/**
 * A stored matrix with a trained factor on each of its rows, `diag(g) Ŵ`, kept in half floats, or in 4 bits: the nearest of 16
 * values from the least to the greatest.
 */
export function withRowScales(
  e: EncodedMatrix,
  scales: Float32Array,
  bits: RowScaleBits = 16,
): EncodedMatrix<RowScaledParams> {
  const parts = bits === 16 ? { row_scale: tensor('F16', [e.shape[0]], f32ToF16(scales)) } : inSteps(scales)
  return { codec: rowScaledLayout.codec, params: { bits, inner: e.params }, shape: e.shape, parts, inner: e }
}

function inSteps(scales: Float32Array) {
  const least = scales.reduce((a, b) => Math.min(a, b))
  const range = Float32Array.of(least, (scales.reduce((a, b) => Math.max(a, b)) - least) / 15)
  const codes = new Uint8Array(Math.ceil(scales.length / 2))
  for (const [r, scale] of scales.entries()) {
    const code = range[1] > 0 ? Math.min(15, Math.round((scale - range[0]) / range[1])) : 0
    codes[r >> 1] |= code << (4 * (r & 1))
  }
  return { row_scale: tensor('U8', [codes.length], codes), row_range: tensor('F32', [2], range) }
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
      async encode(w, { bits, inner: params }, ctx) {
        const inner = await codec.encode(w, params, ctx)
        const { parts } = withRowScales(inner, new Float32Array(w.rows).fill(1), bits)
        return { parts, inner }
      },
      decode: (e, inner) => scaleRows(codec.decode(inner), readRowScales(e)),
    }),
}

function scaleRows(m: Matrix, scales: Float32Array): Matrix {
  const data = m.data.map((v, i) => v * scales[Math.floor(i / m.cols)])
  return { ...m, data }
}
