// Types of 256 weights, whose groups of 16 or 32 have small scales; see `decode.ts` for the arguments.
import { bitAt, crumbs, half, nibbles } from './bits'

export function q2_K(b: usize, end: usize, out: usize, scale: usize, offset: usize): void {
  for (; b < end; b += 84) {
    const d = half(b + 80)
    const least = half(b + 82)
    for (let g: usize = 0; g < 16; g++, out += 64, scale += 4, offset += 16) {
      const both = <i32>load<u8>(b + g)
      store<f32>(scale, d * <f32>(both & 15))
      store<f32>(offset, -least * <f32>(both >> 4))
      v128.store(out, crumbs(b + 16 + ((g >> 3) << 5) + ((g & 1) << 4), <i32>(g & 6)))
    }
  }
}

export function q3_K(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 110) {
    const d = half(b + 108)
    for (let g: usize = 0; g < 16; g++, out += 64, scale += 4) {
      const low = (<u32>load<u8>(b + 96 + (g & 7)) >> (<u32>(g >> 3) << 2)) & 15
      const high = (<u32>load<u8>(b + 104 + (g & 3)) >> (<u32>(g >> 2) << 1)) & 3
      store<f32>(scale, d * <f32>(<i32>(low | (high << 4)) - 32))
      const third = bitAt(b + ((g & 1) << 4), <i32>(g >> 1), 2)
      const two = crumbs(b + 32 + ((g >> 3) << 5) + ((g & 1) << 4), <i32>(g & 6))
      v128.store(out, i8x16.sub(v128.or(two, third), i8x16.splat(4)))
    }
  }
}

/** Six bits of Q4_K's and Q5_K's 12 bytes for group `g`: `from` 0 for the scale, 4 for the minimum. */
// @ts-expect-error: decorator
@inline
function six(b: usize, g: usize, from: usize): f32 {
  if (g < 4) return <f32>(load<u8>(b + from + g) & 63)
  const low = (<u32>load<u8>(b + 4 + g) >> <u32>from) & 15
  return <f32>(low | ((<u32>load<u8>(b + from + g - 4) >> 6) << 4))
}

export function q4_K(b: usize, end: usize, out: usize, scale: usize, offset: usize): void {
  for (; b < end; b += 144) {
    const d = half(b)
    const least = half(b + 2)
    for (let g: usize = 0; g < 8; g++, out += 128, scale += 4, offset += 16) {
      store<f32>(scale, d * six(b + 4, g, 0))
      store<f32>(offset, -least * six(b + 4, g, 4))
      const from = b + 16 + ((g >> 1) << 5)
      const shift = <i32>(g & 1) << 2
      v128.store(out, nibbles(from, shift))
      v128.store(out, nibbles(from + 16, shift), 64)
    }
  }
}

export function q5_K(b: usize, end: usize, out: usize, scale: usize, offset: usize): void {
  for (; b < end; b += 176) {
    const d = half(b)
    const least = half(b + 2)
    for (let g: usize = 0; g < 8; g++, out += 128, scale += 4, offset += 16) {
      store<f32>(scale, d * six(b + 4, g, 0))
      store<f32>(offset, -least * six(b + 4, g, 4))
      const from = b + 48 + ((g >> 1) << 5)
      const shift = <i32>(g & 1) << 2
      v128.store(out, v128.or(nibbles(from, shift), bitAt(b + 16, <i32>g, 4)))
      v128.store(out, v128.or(nibbles(from + 16, shift), bitAt(b + 32, <i32>g, 4)), 64)
    }
  }
}

export function q6_K(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 210) {
    const d = half(b + 208)
    for (let g: usize = 0; g < 16; g++, out += 64, scale += 4) {
      store<f32>(scale, d * <f32>load<i8>(b + 192 + g))
      const low = nibbles(b + ((g >> 3) << 6) + ((g & 3) << 4), <i32>(g & 4))
      const high = crumbs(b + 128 + ((g >> 3) << 5) + ((g & 1) << 4), <i32>(g & 6))
      v128.store(out, i8x16.sub(v128.or(low, i16x8.shl(high, 4)), i8x16.splat(32)))
    }
  }
}

/** Ternary, two bits each; the scale comes last. */
export function tq2_0(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 66) {
    const d = half(b + 64)
    for (let g: usize = 0; g < 8; g++, out += 128, scale += 4) {
      store<f32>(scale, d)
      const from = b + ((g >> 2) << 5)
      const shift = <i32>(g & 3) << 1
      v128.store(out, i8x16.sub(crumbs(from, shift), i8x16.splat(1)))
      v128.store(out, i8x16.sub(crumbs(from + 16, shift), i8x16.splat(1)), 64)
    }
  }
}

/** The carries of bytes/256 times powers of three, one lower. */
// @ts-expect-error: decorator
@inline
function trits(q: v128, powers: v128): v128 {
  const fraction = i16x8.splat(255)
  const three = i16x8.splat(3)
  const low = v128.and(i16x8.extmul_low_i8x16_u(q, powers), fraction)
  const high = v128.and(i16x8.extmul_high_i8x16_u(q, powers), fraction)
  const carries = i8x16.narrow_i16x8_u(
    i16x8.shr_u(i16x8.mul(low, three), 8), i16x8.shr_u(i16x8.mul(high, three), 8),
  )
  return i8x16.sub(carries, i8x16.splat(1))
}

/** Ternary, five weights a byte: 32 bytes, 16, and four that hold four weights each. */
export function tq1_0(b: usize, end: usize, out: usize, scale: usize): void {
  for (; b < end; b += 54) {
    const d = half(b + 52)
    for (let g: usize = 0; g < 8; g++, scale += 4) store<f32>(scale, d)
    for (let power = 1; power < 243; power *= 3, out += 128) {
      v128.store(out, trits(v128.load(b), i8x16.splat(<i8>power)))
      v128.store(out, trits(v128.load(b, 16), i8x16.splat(<i8>power)), 64)
    }
    for (let power = 1; power < 243; power *= 3, out += 64) {
      v128.store(out, trits(v128.load(b, 32), i8x16.splat(<i8>power)))
    }
    const last = i32x4.splat(load<i32>(b + 48))
    v128.store(out, trits(last, i8x16(1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27)))
    out += 64
  }
}
