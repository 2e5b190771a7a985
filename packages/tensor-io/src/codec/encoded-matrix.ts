import { byteLength, type DType } from '../core/dtype.ts'
import { type MatrixShape, type Shape, sizeOf, type Tensor } from '../core/tensor.ts'

/** dtype and shape of every tensor that storing one matrix takes; inner codecs' parts included. */
export type StorageCost = Readonly<Record<string, { readonly dtype: DType; readonly shape: Shape }>>

/**
 * One matrix as it is stored. A codec that wraps another (rotation, low-rank + residual) keeps its own tensors
 * in `parts` and the wrapped codec's result in `inner`; on disk the parts are named `<module>.<part>`,
 * `<module>.inner.<part>`, …
 */
export interface EncodedMatrix<Params = unknown> {
  readonly codec: string
  readonly params: Params
  readonly shape: MatrixShape
  readonly parts: Readonly<Record<string, Tensor>>
  readonly inner?: EncodedMatrix
}

/** Bits that a cost or a stored matrix takes, every tensor counted in whole bytes, as on disk. */
export function bitsOf(stored: StorageCost | EncodedMatrix): number {
  const tensors = isEncoded(stored) ? partsOf(stored) : stored
  return Object.values(tensors).reduce((bits, t) => bits + 8 * byteLength(t.dtype, sizeOf(t.shape)), 0)
}

/** Bits per weight of a stored matrix. */
export const bitsPerWeight = (e: EncodedMatrix): number => bitsOf(e) / sizeOf(e.shape)

/** All tensors of a stored matrix by their name on disk (without the module's name). */
export function partsOf(e: EncodedMatrix): Record<string, Tensor> {
  const parts: Record<string, Tensor> = { ...e.parts }
  if (e.inner) Object.assign(parts, prefixed(partsOf(e.inner)))
  return parts
}

/** Puts `inner.` before the names of a wrapped codec's parts. */
export const prefixed = <T>(parts: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(parts).map(([name, part]) => [`inner.${name}`, part]))

function isEncoded(x: StorageCost | EncodedMatrix): x is EncodedMatrix {
  return typeof (x as EncodedMatrix).codec === 'string'
}
