// Products with GGUF's blocks: four rows are decoded at a time, to bytes in the fastest cache, multiplied, and forgotten.
import { fourRows } from '../inference/integer'
import { arg, share } from '../inference/job'
import { madd, storeRows } from '../inference/simd'
import { decodeRow } from './decode'

/**
 * Arguments: type, blocks, bytes of a row, x (16 bits), xScales, sums (0: the type has no offsets), y, rows, cols, columns of a
 * group, tokens, floats between tokens of y, accumulate, panel (bytes per thread: 8 · cols), table.
 */
export function matmulBlocksPart(part: i32, parts: i32, thread: i32): void {
  const type = arg(0)
  const rowBytes = <usize>arg(2)
  const x = <usize>arg(3)
  const xs = <usize>arg(4)
  const sums = <usize>arg(5)
  const rows = arg(7)
  const cols = <usize>arg(8)
  const group = <usize>arg(9)
  const tokens = arg(10)
  const ldy = <usize>arg(11) << 2
  const accumulate = arg(12) !== 0
  const table = <usize>arg(14)
  const groups = cols / group
  const panel = <usize>arg(13) + <usize>thread * (cols << 3)
  const scales = panel + (cols << 2)
  const offsets = scales + (groups << 4)
  const quads = (rows + 3) >> 2
  const last = share(quads, part + 1, parts)
  for (let q = share(quads, part, parts); q < last; q++) {
    const count = min(4, rows - (q << 2))
    let b = <usize>arg(1) + (<usize>q << 2) * rowBytes
    for (let r: usize = 0; r < <usize>count; r++, b += rowBytes) {
      decodeRow(type, b, b + rowBytes, panel + (r << 4), scales + r * (groups << 2), offsets + (r << 2), table)
    }
    const y = <usize>arg(6) + (<usize>q << 4)
    if (sums !== 0) {
      for (let t: usize = 0; t < <usize>tokens; t++) {
        addOffsets(offsets, groups, sums + t * (groups << 2), xs + (t << 2), y + t * ldy, count, accumulate)
      }
    }
    fourRows<i8>(
      panel, cols, scales, groups << 2, group, x, cols << 1, xs, y, ldy, count, tokens, accumulate || sums !== 0,
    )
  }
}

/** What the offsets of four rows add to a token: `[groups, 4]` times the sums of its groups. */
function addOffsets(
  offsets: usize, groups: usize, sums: usize, xs: usize, y: usize, count: i32, accumulate: bool,
): void {
  let total = f32x4.splat(0)
  for (const end = sums + (groups << 2); sums < end; sums += 4, offsets += 16) {
    total = madd(v128.load(offsets), v128.load_splat<f32>(sums), total)
  }
  storeRows(y, f32x4.mul(total, v128.load_splat<f32>(xs)), count, accumulate)
}

/** Sums of 16-bit activations over groups of columns. Arguments: x, out `[tokens, cols / group]`, tokens, cols, group. */
export function groupSums(x: usize, out: usize, tokens: i32, cols: i32, group: i32): void {
  const end = out + (<usize>(tokens * cols / group) << 2)
  const ones = i16x8.splat(1)
  for (; out < end; out += 4) {
    let sum = i32x4.splat(0)
    for (const next = x + (<usize>group << 1); x < next; x += 16) {
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(x), ones))
    }
    sum = i32x4.add(sum, v128.shuffle<i32>(sum, sum, 2, 3, 0, 1))
    store<f32>(out, <f32>(i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1)))
  }
}
