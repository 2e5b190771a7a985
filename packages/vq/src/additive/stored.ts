import { type EncodedMatrix, f32ToF16, tensor, toFloat32 } from '@reallm/tensor-io'
import { unpackRow } from '../shared/pack-rows.ts'
import { readScales } from '../shared/scales.ts'
import { additiveParams } from './params.ts'
import type { AdditiveCode } from './refine.ts'

/** Rows `from` to `to` (all by default) of what `additive` stored, unpacked; codes are counted within their codebook. */
export function additiveCodeOf(e: EncodedMatrix, from = 0, to = e.shape[0]): AdditiveCode {
  const { dim, codebooks: count, codebookBits } = additiveParams.parse(e.params)
  const perRow = Math.ceil(e.shape[1] / dim) * count
  const size = 2 ** codebookBits
  const codes = new Uint16Array((to - from) * perRow)
  for (let r = from; r < to; r++) {
    codes.set(unpackRow(e.parts.codes, r, perRow, codebookBits), (r - from) * perRow)
  }
  const vectors = { rows: count * size, cols: dim, data: toFloat32(e.parts.codebooks) }
  return { codes, books: { vectors, count, size }, scales: readScales(e, from, to) }
}

/** A matrix that `additive` stored with other codebooks `[M · 2^B · dim]` and row scales, in half floats. */
export function withCodebooks<P>(
  e: EncodedMatrix<P>,
  codebooks: Float32Array,
  scales: Float32Array,
): EncodedMatrix<P> {
  const half = (part: 'codebooks' | 'scales', values: Float32Array) =>
    tensor('F16', e.parts[part].shape, f32ToF16(values))
  return {
    ...e,
    parts: { ...e.parts, codebooks: half('codebooks', codebooks), scales: half('scales', scales) },
  }
}
