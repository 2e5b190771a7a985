import { f16ToF32, f32ToF16, ReallmError } from '@reallm/tensor-io'

const one = new Float32Array(1)

/**
 * The bits of the half float nearest to a value.
 *
 * @throws `numeric` when it is too large for one
 */
export function halfBits(value: number): number {
  one[0] = value
  const [bits] = f32ToF16(one)
  if ((bits & 0x7c00) !== 0x7c00) return bits
  throw new ReallmError('numeric', `a scale of ${value.toPrecision(3)} does not fit a half float`, {
    hint: "GGUF's scales are half floats, at most 65504: these weights are too large for it",
  })
}

/** The half float nearest to a value. */
export const toHalf = (value: number): number => f16ToF32(Uint16Array.of(halfBits(value)))[0]
