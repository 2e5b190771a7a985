import {
  bf16ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  packBits,
  ReallmError,
  unpackBits,
} from '@reallm/tensor-io'

/**
 * How LR-QAT keeps its frozen weights Φ(W/s₀) while it trains: half floats, bfloat16, fixed point with `8 − bits`
 * fraction bits in int8, or the rounded integers alone, packed.
 */
export type Downcast = 'f32' | 'fp16' | 'bf16' | 'fixed8' | 'packed'

/** Weights in units of their grid's step, held in few bytes. */
export interface HeldWeights {
  readonly bytes: number
  /** A fresh float32 copy. */
  expand(): Float32Array
}

/** Downcasts `v`, weights divided by their steps, for a grid of `bits` (LR-QAT §3.2, arXiv 2406.06385). */
export function downcast(v: Float32Array, kind: Downcast, bits: number): HeldWeights {
  const [low, high] = gridRange(bits)
  switch (kind) {
    case 'f32':
      return { bytes: v.byteLength, expand: () => v.slice() }
    case 'fp16': {
      const held = f32ToF16(v)
      return { bytes: held.byteLength, expand: () => f16ToF32(held) }
    }
    case 'bf16': {
      const held = f32ToBf16(v)
      return { bytes: held.byteLength, expand: () => bf16ToF32(held) }
    }
    case 'fixed8': {
      const unit = 2 ** (8 - bits)
      const held = Int8Array.from(v, x => clamp(Math.round(x * unit), -128, 127))
      return { bytes: held.byteLength, expand: () => Float32Array.from(held, code => code / unit) }
    }
    case 'packed': {
      const codes = Uint8Array.from(v, x => clamp(Math.round(x), low, high) - low)
      const held = packBits(codes, bits)
      return {
        bytes: held.byteLength,
        expand: () => Float32Array.from(unpackBits(held, bits, v.length), code => code + low),
      }
    }
    default:
      throw new ReallmError('bad-option', `unknown downcast ${kind}`, {
        hint: 'use f32, fp16, bf16, fixed8 or packed',
      })
  }
}

/** Smallest and largest integer of a signed grid. */
export const gridRange = (bits: number): readonly [low: number, high: number] => [
  -(2 ** (bits - 1)),
  2 ** (bits - 1) - 1,
]

const clamp = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x))
