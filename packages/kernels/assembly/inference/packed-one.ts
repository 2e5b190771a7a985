// Products of one token straight from codes, without a panel: every decoded weight is used at once.
import { arg } from './job'
import { madd, sum4, zero } from './simd'

/** Bits that each of four weights appends, a byte each, the first lowest; `rate` is four times the bits per weight. */
export function stepPattern(rate: i32): i32 {
  let steps = 0
  for (let t = 0; t < 4; t++) steps |= ((((t + 1) * rate) >> 2) - ((t * rate) >> 2)) << (t << 3)
  return steps
}

/** Whether bands of 64 rows can be taken four tiles at a time, one in each lane. */
export function inLanes(rows: i32, cols: i32): bool {
  return (cols & 15) === 0 && (((rows + 15) >> 4) & 3) === 0
}

/** Rows 64·band … 64·band + 63 of one segment; arguments as of `matmulTrellisPart`, `sums` has 256 bytes. */
export function trellisBand(band: i32, sums: usize): void {
  const rows = arg(5)
  const tileCols = arg(6) >> 4
  const steps = stepPattern(arg(10))
  const mask = i32x4.splat(((1 << arg(11)) - 1) << 2)
  const table = <usize>arg(12)
  const tileBytes = <usize>arg(10) << 5
  let tile = <usize>arg(9) + <usize>band * tileCols * tileBytes
  let x = <usize>arg(0)
  zero(sums, 256)
  for (let c = 0; c < tileCols; c++, tile += tileBytes, x += 64) {
    let before = v128.load(tile + tileBytes - 16)
    let word = v128.load(tile)
    let at = tile
    let used = 0
    for (let row: usize = 0; row < 256; row += 16) {
      let sum = v128.load(sums + row)
      for (let j: usize = 0; j < 64; j += 4) {
        used += (steps >> (<i32>(j & 12) << 1)) & 255
        if (used > 32) {
          before = word
          at += 16
          word = v128.load(at)
          used -= 32
        }
        // the state times 4, an offset into the table
        const stream =
          used >= 30
            ? i32x4.shl(word, used - 30)
            : v128.or(i32x4.shl(before, used + 2), i32x4.shr_u(word, 30 - used))
        const state = v128.and(stream, mask)
        let value = v128.load32_zero(table + <usize>i32x4.extract_lane(state, 0))
        value = v128.load_lane<f32>(table + <usize>i32x4.extract_lane(state, 1), value, 1)
        value = v128.load_lane<f32>(table + <usize>i32x4.extract_lane(state, 2), value, 2)
        value = v128.load_lane<f32>(table + <usize>i32x4.extract_lane(state, 3), value, 3)
        sum = madd(value, v128.load_splat<f32>(x + j), sum)
      }
      v128.store(sums + row, sum)
    }
  }
  const y = <usize>arg(2) + (<usize>band << 8)
  const scales = <usize>arg(13) + (arg(14) !== 0 ? <usize>band << 8 : 0)
  const step: usize = arg(14) !== 0 ? 4 : 0
  for (let r = 0; r < 64 && (band << 6) + r < rows; r++) {
    const sum = load<f32>(sums + (<usize>(r & 15) << 4) + (<usize>(r >> 4) << 2)) * load<f32>(scales + r * step)
    const out = y + (<usize>r << 2)
    store<f32>(out, arg(7) !== 0 ? load<f32>(out) + sum : sum)
  }
}

/** Row `row` of codes by one token; arguments as of `matmulCodesPart`. */
export function codesRow(row: i32): void {
  const codes = <usize>arg(9) + <usize>row * arg(10)
  const bits = <u32>arg(11)
  const dim = arg(12)
  const table = <usize>arg(13)
  const group = arg(16)
  const groups = arg(6) / group
  const mask: u32 = (1 << bits) - 1
  let scale = <usize>arg(14) + (<usize>(row * groups) << 2)
  let shift = <usize>arg(15) + (arg(15) === 0 ? 0 : <usize>(row * groups) << 2)
  let x = <usize>arg(0)
  let bit: u32 = 0
  let total: f32 = 0
  for (let g = 0; g < groups; g++, scale += 4) {
    let sum: f32 = 0
    let plain: f32 = 0
    const end = x + (<usize>group << 2)
    if ((dim & 3) === 0) {
      let sum4s = f32x4.splat(0)
      for (; x < end; bit += bits) {
        const vector = table + (<usize>((load<u32>(codes + (bit >> 3)) >> (bit & 7)) & mask) * dim << 2)
        for (let i: usize = 0; i < <usize>dim; i += 4, x += 16) {
          sum4s = madd(v128.load(vector + (i << 2)), v128.load(x), sum4s)
        }
      }
      sum = sum4(sum4s)
    } else {
      for (; x < end; bit += bits) {
        let vector = table + (<usize>((load<u32>(codes + (bit >> 3)) >> (bit & 7)) & mask) * dim << 2)
        for (let i = 0; i < dim; i++, x += 4, vector += 4) {
          const value = load<f32>(x)
          sum += load<f32>(vector) * value
          plain += value
        }
      }
    }
    if (arg(15) !== 0) {
      sum -= load<f32>(shift) * plain
      shift += 4
    }
    total += load<f32>(scale) * sum
  }
  const y = <usize>arg(2) + (<usize>row << 2)
  store<f32>(y, arg(7) !== 0 ? load<f32>(y) + total : total)
}
