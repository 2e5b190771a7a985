import { checkParts, type EncodedMatrix, f32ToF16, tensor } from '@reallm/tensor-io'
import { additiveLayout, readAdditive } from '@reallm/tensor-io/layouts'
import type { AdditiveCode } from './refine.ts'

/** What `additive` stored, unpacked; codes are counted within their codebook. */
export const additiveCodeOf = (e: EncodedMatrix): AdditiveCode => readAdditive(checkParts(additiveLayout, e))

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
