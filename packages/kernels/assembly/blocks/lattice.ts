// Types whose weights are points of a table with signs; see `decode.ts` for the arguments. Points of 8 weights (those of IQ3: 4)
// are signed bytes, one after the other.
import { half, halfOf, spread } from './bits'

/** Seven sign bits and an eighth that makes their number even. */
// @ts-expect-error: decorator
@inline
function even(seven: u32): u32 {
  return seven | ((popcnt(seven) & 1) << 7)
}

/** Nibble `i` of the bytes at `b`. */
// @ts-expect-error: decorator
@inline
function nibble(b: usize, i: usize): u32 {
  return (<u32>load<u8>(b + (i >> 1)) >> (<u32>(i & 1) << 2)) & 15
}

/** Two points of eight, negated where a bit of `signs` is set. */
// @ts-expect-error: decorator
@inline
function two(table: usize, p: u32, q: u32, signs: u32, out: usize): void {
  const points = v128.load_lane<u64>(table + (<usize>q << 3), v128.load64_zero(table + (<usize>p << 3)), 1)
  const negative = spread(signs)
  v128.store(out, i8x16.sub(v128.xor(points, negative), negative))
}

export function iq2_xxs(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 66) {
    const d = half(b)
    for (let g: usize = 0; g < 8; g++, scale += 4) {
      const from = b + 2 + (g << 3)
      const rest = load<u32>(from + 4)
      store<f32>(scale, d * (<f32>0.5 + <f32>(rest >> 28)) * 0.25)
      for (let k: u32 = 0; k < 4; k += 2, out += 64) {
        const signs = even((rest >> (7 * k)) & 127) | (even((rest >> (7 * k + 7)) & 127) << 8)
        two(table, load<u8>(from + k), load<u8>(from + k + 1), signs, out)
      }
    }
  }
}

export function iq2_xs(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 74) {
    const d = half(b)
    for (let k: usize = 0; k < 16; k++, out += 64, scale += 4) {
      const p = <u32>load<u16>(b + 2 + (k << 2))
      const q = <u32>load<u16>(b + 4 + (k << 2))
      store<f32>(scale, d * (<f32>0.5 + <f32>nibble(b + 66, k)) * 0.25)
      two(table, p & 511, q & 511, even(p >> 9) | (even(q >> 9) << 8), out)
    }
  }
}

export function iq2_s(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 82) {
    const d = half(b)
    for (let k: usize = 0; k < 16; k++, out += 64, scale += 4) {
      const high = nibble(b + 66, k)
      const p = <u32>load<u8>(b + 2 + (k << 1)) | ((high & 3) << 8)
      const q = <u32>load<u8>(b + 3 + (k << 1)) | ((high >> 2) << 8)
      store<f32>(scale, d * (<f32>0.5 + <f32>nibble(b + 74, k)) * 0.25)
      two(table, p, q, load<u16>(b + 34 + (k << 1)), out)
    }
  }
}

/** Four points of four. */
// @ts-expect-error: decorator
@inline
function four(table: usize, p: u32, q: u32, r: u32, s: u32, signs: u32, out: usize): void {
  let points = v128.load32_zero(table + (<usize>p << 2))
  points = v128.load_lane<u32>(table + (<usize>q << 2), points, 1)
  points = v128.load_lane<u32>(table + (<usize>r << 2), points, 2)
  points = v128.load_lane<u32>(table + (<usize>s << 2), points, 3)
  const negative = spread(signs)
  v128.store(out, i8x16.sub(v128.xor(points, negative), negative))
}

export function iq3_xxs(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 98) {
    const d = half(b)
    for (let g: usize = 0; g < 8; g++, scale += 4) {
      const rest = load<u32>(b + 66 + (g << 2))
      store<f32>(scale, d * (<f32>0.5 + <f32>(rest >> 28)) * 0.5)
      for (let k: u32 = 0; k < 4; k += 2, out += 64) {
        const p = b + 2 + (g << 3) + (<usize>k << 1)
        const signs = even((rest >> (7 * k)) & 127) | (even((rest >> (7 * k + 7)) & 127) << 8)
        four(table, load<u8>(p), load<u8>(p, 1), load<u8>(p, 2), load<u8>(p, 3), signs, out)
      }
    }
  }
}

export function iq3_s(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 110) {
    const d = half(b)
    for (let g: usize = 0; g < 8; g++, scale += 4) {
      store<f32>(scale, d * <f32>((nibble(b + 106, g) << 1) | 1))
      let high = <u32>load<u8>(b + 66 + g) << 8
      for (let k: usize = 0; k < 2; k++, out += 64, high >>= 4) {
        const p = b + 2 + (g << 3) + (k << 2)
        four(
          table, <u32>load<u8>(p) | (high & 256), <u32>load<u8>(p, 1) | ((high >> 1) & 256),
          <u32>load<u8>(p, 2) | ((high >> 2) & 256), <u32>load<u8>(p, 3) | ((high >> 3) & 256),
          load<u16>(b + 74 + (g << 2) + (k << 1)), out,
        )
      }
    }
  }
}

/** Two points in eighths, each moved by an eighth down where its bit is set, else up. */
// @ts-expect-error: decorator
@inline
function moved(table: usize, p: u32, q: u32, down: u32, out: usize): void {
  const points = v128.load_lane<u64>(table + (<usize>q << 3), v128.load64_zero(table + (<usize>p << 3)), 1)
  const lower = spread(((down & 1) * 255) | ((down >> 1) * 0xff00))
  v128.store(out, i8x16.add(points, v128.or(lower, i8x16.splat(1))))
}

export function iq1_s(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 50) {
    const d = half(b) * 0.125
    for (let g: usize = 0; g < 8; g++, scale += 4) {
      const rest = <u32>load<u16>(b + 34 + (g << 1))
      store<f32>(scale, d * <f32>((((rest >> 12) & 7) << 1) | 1))
      for (let k: u32 = 0; k < 4; k += 2, out += 64) {
        const from = b + 2 + (g << 2) + k
        const p = <u32>load<u8>(from) | (((rest >> (3 * k)) & 7) << 8)
        const q = <u32>load<u8>(from, 1) | (((rest >> (3 * k + 3)) & 7) << 8)
        moved(table, p, q, (rest >> 15) * 3, out)
      }
    }
  }
}

/** The half float is spread over four words of scales, its highest bits in the last. */
export function iq1_m(b: usize, end: usize, out: usize, scale: usize, table: usize): void {
  for (; b < end; b += 56) {
    const d = <u32>load<u8>(b + 49) >> 4 | (<u32>load<u8>(b + 51) & 0xf0) | (<u32>load<u8>(b + 53) & 0xf0) << 4
      | (<u32>load<u8>(b + 55) & 0xf0) << 8
    const eighth = halfOf(d) * 0.125
    for (let k: usize = 0; k < 16; k++, out += 64, scale += 4) {
      const rest = <u32>load<u8>(b + 32 + k)
      const packed = <u32>load<u16>(b + 48 + ((k >> 2) << 1))
      store<f32>(scale, eighth * <f32>((((packed >> (3 * <u32>(k & 3))) & 7) << 1) | 1))
      const p = <u32>load<u8>(b + (k << 1)) | ((rest & 7) << 8)
      const q = <u32>load<u8>(b + (k << 1) + 1) | (((rest >> 4) & 7) << 8)
      moved(table, p, q, ((rest >> 3) & 1) | ((rest >> 6) & 2), out)
    }
  }
}
