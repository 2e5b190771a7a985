import { placeText, ReallmError } from '@reallm/tensor-io'

/** What weights can be stored as, with the bytes of one. */
export const bytesPerWeight = { f32: 4, f16: 2, bf16: 2, q8_0: 1.0625 } as const
export type StoredAs = keyof typeof bytesPerWeight

/** From where on magnitudes are rounded to infinity; the scale of a block of Q8_0 is a 127th of its largest weight, in F16. */
const tooLarge: Readonly<Record<StoredAs, number>> = {
  f32: Number.POSITIVE_INFINITY,
  f16: 65_520,
  bf16: 2 ** 128 * (1 - 2 ** -9),
  q8_0: 127 * 65_520,
}

/**
 * Refuses values that a dtype cannot hold.
 *
 * @throws `numeric` naming the tensor and the place of the first NaN, infinity or value that is too large
 */
export function requireStorable(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  dtype: StoredAs,
): void {
  const limit = tooLarge[dtype]
  const at = values.findIndex(value => !(Math.abs(value) < limit))
  if (at < 0) return
  const what = `${name} [${shape.join('×')}] holds ${values[at]} at ${placeText(shape, at)}`
  throw Number.isFinite(values[at])
    ? new ReallmError('numeric', `${what}: too large for ${dtype}`, { hint: 'use --dtype bf16 or f32' })
    : new ReallmError('numeric', what, {
        hint: 'the weights are damaged: fetch or export the model again',
      })
}
