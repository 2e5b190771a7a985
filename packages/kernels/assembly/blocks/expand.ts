// GGUF's blocks to the whole numbers that `expanded.ts` multiplies, and rows of those back to floats.
import { decodeRow } from './decode'
import { fourRowBytes } from './expanded'

/**
 * `rows` rows of blocks at `b`, the first one a multiple of 4, to codes of `bits` bits, less `middle`, whose multiple the offsets get.
 * `panel` are 8 · cols bytes.
 */
export function expandBlocks(
  type: i32, b: usize, rowBytes: usize, out: usize, rows: i32, cols: usize, group: usize, bits: i32, middle: i32,
  hasOffsets: bool, panel: usize, table: usize,
): void {
  const groups = cols / group
  const scales = panel + (cols << 2)
  const offsets = scales + (groups << 4)
  for (; rows > 0; rows -= 4) {
    const count = <usize>min(4, rows)
    for (let r: usize = 0; r < count; r++, b += rowBytes) {
      decodeRow(type, b, b + rowBytes, panel + (r << 4), scales + r * (groups << 2), offsets + (r << 2), table)
    }
    let from = panel
    for (let g: usize = 0; g < groups; g++) {
      for (let r: usize = 0; r < count; r++) {
        const scale = load<f32>(scales + (r * groups + g << 2))
        store<f32>(out + (r << 2), scale)
        if (hasOffsets) store<f32>(out + (r << 2), load<f32>(offsets + (g << 4) + (r << 2)) + <f32>middle * scale, 16)
      }
      out += hasOffsets ? 32 : 16
      for (let c: usize = 0; c < group; c += 16, from += 64) out = interleave(from, out, bits, middle)
    }
  }
}

/** Sixteen columns of four rows, 16 bytes each, to places of two columns of all rows; returns where the next ones go. */
function interleave(from: usize, out: usize, bits: i32, middle: i32): usize {
  const zero = i8x16.splat(<i8>middle)
  const r0 = i8x16.sub(v128.load(from), zero)
  const r1 = i8x16.sub(v128.load(from, 16), zero)
  const r2 = i8x16.sub(v128.load(from, 32), zero)
  const r3 = i8x16.sub(v128.load(from, 48), zero)
  const low01 = v128.shuffle<i16>(r0, r1, 0, 8, 1, 9, 2, 10, 3, 11)
  const low23 = v128.shuffle<i16>(r2, r3, 0, 8, 1, 9, 2, 10, 3, 11)
  const high01 = v128.shuffle<i16>(r0, r1, 4, 12, 5, 13, 6, 14, 7, 15)
  const high23 = v128.shuffle<i16>(r2, r3, 4, 12, 5, 13, 6, 14, 7, 15)
  const first = v128.shuffle<i32>(low01, low23, 0, 4, 1, 5)
  const second = v128.shuffle<i32>(low01, low23, 2, 6, 3, 7)
  const third = v128.shuffle<i32>(high01, high23, 0, 4, 1, 5)
  const fourth = v128.shuffle<i32>(high01, high23, 2, 6, 3, 7)
  if (bits === 4) {
    v128.store(out, fours(first, second))
    v128.store(out, fours(third, fourth), 16)
    return out + 32
  }
  v128.store(out, first)
  v128.store(out, second, 16)
  v128.store(out, third, 32)
  v128.store(out, fourth, 48)
  return out + 64
}

/** Bytes of eight columns of four rows to their lowest four bits each. */
// @ts-expect-error: decorator
@inline
function fours(a: v128, b: v128): v128 {
  a = v128.and(a, i8x16.splat(15))
  b = v128.and(b, i8x16.splat(15))
  const low = v128.or(i16x8.extend_low_i8x16_u(a), i16x8.shl(i16x8.extend_high_i8x16_u(a), 4))
  return v128.or(low, v128.or(i16x8.shl(i16x8.extend_low_i8x16_u(b), 8), i16x8.shl(i16x8.extend_high_i8x16_u(b), 12)))
}

/** Row `row` back to floats, times `factor`: how an embedding is looked up. */
export function expandedRow(
  w: usize, row: i32, out: usize, cols: usize, group: usize, bits: i32, hasOffsets: bool, factor: f32,
): void {
  w += <usize>(row >> 2) * fourRowBytes(bits, hasOffsets, cols, group)
  const r = <usize>(row & 3)
  for (let c: usize = 0; c < cols; w += group * bits >> 1) {
    const scale = load<f32>(w + (r << 2))
    const offset = hasOffsets ? load<f32>(w + 16 + (r << 2)) : 0
    w += hasOffsets ? 32 : 16
    for (let i: usize = 0; i < group; i++, c++, out += 4) {
      const lane = (r << 1) + (i & 1)
      const code = bits === 8
        ? <i32>load<i8>(w + ((i >> 1) << 3) + lane)
        : <i32>load<u16>(w + ((i >> 3) << 4) + (lane << 1)) << (28 - (<i32>(i & 6) << 1)) >> 28
      store<f32>(out, (<f32>code * scale + offset) * factor)
    }
  }
}
