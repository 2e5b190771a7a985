// Types whose weights have one small scale, most of 32 weights; see `decode.ts` for the arguments.
import { half, nibbles, spread } from './bits'

/** 4 bits, less 8. */
export function q4_0(b: usize, end: usize, out: usize, scale: usize): void {
  const eight = i8x16.splat(8)
  for (; b < end; b += 18, out += 128, scale += 4) {
    store<f32>(scale, half(b))
    v128.store(out, i8x16.sub(nibbles(b + 2, 0), eight))
    v128.store(out, i8x16.sub(nibbles(b + 2, 4), eight), 64)
  }
}

export function q4_1(b: usize, end: usize, out: usize, scale: usize, offset: usize): void {
  for (; b < end; b += 20, out += 128, scale += 4, offset += 16) {
    store<f32>(scale, half(b))
    store<f32>(offset, half(b + 2))
    v128.store(out, nibbles(b + 4, 0))
    v128.store(out, nibbles(b + 4, 4), 64)
  }
}

/** Four bits of 32 weights at `b`, the fifth ones in `high`, less `middle`. */
// @ts-expect-error: decorator
@inline
function fives(b: usize, high: u32, middle: v128, out: usize): void {
  const fifth = i8x16.splat(16)
  v128.store(out, i8x16.sub(v128.or(nibbles(b, 0), v128.and(spread(high), fifth)), middle))
  v128.store(out, i8x16.sub(v128.or(nibbles(b, 4), v128.and(spread(high >> 16), fifth)), middle), 64)
}

export function q5_0(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 22, out += 128, scale += 4) {
    store<f32>(scale, half(b))
    fives(b + 6, load<u32>(b + 2), i8x16.splat(16), out)
  }
}

export function q5_1(b: usize, end: usize, out: usize, scale: usize, offset: usize): void {
  for (; b < end; b += 24, out += 128, scale += 4, offset += 16) {
    store<f32>(scale, half(b))
    store<f32>(offset, half(b + 2))
    fives(b + 8, load<u32>(b + 4), i8x16.splat(0), out)
  }
}

export function q8_0(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 34, out += 128, scale += 4) {
    store<f32>(scale, half(b))
    v128.store(out, v128.load(b, 2))
    v128.store(out, v128.load(b, 18), 64)
  }
}

/** Levels of the non-linear types. */
// @ts-expect-error: decorator
@inline
function nonLinear(): v128 {
  return i8x16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
}

/** Levels of 32 weights at `b`. */
// @ts-expect-error: decorator
@inline
function looked(levels: v128, b: usize, out: usize): void {
  v128.store(out, i8x16.swizzle(levels, nibbles(b, 0)))
  v128.store(out, i8x16.swizzle(levels, nibbles(b, 4)), 64)
}

export function iq4_nl(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 18, out += 128, scale += 4) {
    store<f32>(scale, half(b))
    looked(nonLinear(), b + 2, out)
  }
}

/** Eight times 32 weights under 6-bit scales. */
export function iq4_xs(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 136) {
    const d = half(b)
    const highs = <u32>load<u16>(b + 2)
    const lows = load<u32>(b + 4)
    for (let g: u32 = 0; g < 8; g++, out += 128, scale += 4) {
      const bits = ((lows >> (4 * g)) & 15) | (((highs >> (2 * g)) & 3) << 4)
      store<f32>(scale, d * <f32>(<i32>bits - 32))
      looked(nonLinear(), b + 8 + (<usize>g << 4), out)
    }
  }
}

/** Floats of four bits (E2M1, doubled) under a power of two. */
export function mxfp4(b: usize, end: usize, out: usize, scale: usize): void {
  const levels = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
  for (; b < end; b += 17, out += 128, scale += 4) {
    const exponent = <u32>load<u8>(b)
    store<f32>(scale, reinterpret<f32>(exponent > 1 ? (exponent - 1) << 23 : 0x200000 << exponent))
    looked(levels, b + 1, out)
  }
}

/** Floats of four bits in groups of 16 under floats of eight (E4M3 without a sign). */
export function nvfp4(b: usize, end: usize, out: usize, scale: usize): void {
  const levels = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
  for (; b < end; b += 36) {
    for (let g: usize = 0; g < 4; g++, out += 64, scale += 4) {
      const bits = <u32>load<u8>(b + g) & 0x7f
      // exponent and fraction in their places, times 2^119: the other bias, and half of the doubled levels
      const size = reinterpret<f32>(bits << 20) * reinterpret<f32>(0x7b000000)
      store<f32>(scale, bits === 0x7f ? 0 : size)
      const q = v128.load64_zero(b + 4 + (g << 3))
      const low = v128.and(q, i8x16.splat(15))
      const high = v128.and(i16x8.shr_u(q, 4), i8x16.splat(15))
      v128.store(out, i8x16.swizzle(levels, v128.shuffle<i64>(low, high, 0, 2)))
    }
  }
}

/** The scale, or minus the scale; 128 weights. */
export function q1_0(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 18) {
    const d = half(b)
    for (let k: usize = 0; k < 8; k++, out += 64) {
      if ((k & 1) === 0) store<f32>(scale + (k << 1), d)
      const set = spread(load<u16>(b + 2 + (k << 1)))
      v128.store(out, i8x16.sub(v128.and(set, i8x16.splat(2)), i8x16.splat(1)))
    }
    scale += 16
  }
}

/** Two bits, less one, four weights that follow each other in a byte; 64 weights. */
export function q2_0(b: usize, end: usize, out: usize, scale: usize): void {
  const first = i32x4.splat(3)
  for (; b < end; b += 18) {
    const d = half(b)
    for (let k: usize = 0; k < 4; k++, out += 64) {
      if ((k & 1) === 0) store<f32>(scale + (k << 1), d)
      const word = v128.load32_zero(b + 2 + (k << 2))
      const q = v128.shuffle<u8>(word, word, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)
      const two = v128.or(v128.and(q, first), v128.and(i16x8.shr_u(q, 2), i32x4.shl(first, 8)))
      const four = v128.or(two, v128.and(i16x8.shr_u(q, 4), i32x4.shl(first, 16)))
      const all = v128.or(four, v128.and(i16x8.shr_u(q, 6), i32x4.shl(first, 24)))
      v128.store(out, i8x16.sub(all, i8x16.splat(1)))
    }
    scale += 8
  }
}
