// Products of one token with a trellis code, in the layout of `trellis-stream.ts`: weights are looked up, multiplied and
// forgotten. Columns of one rate are computed for many rows at a time: their shifts are constants, and their tables stay in the
// fastest cache. Sums are whole numbers until a group of columns ends, so that their order does not matter.
import { arg, share } from '../inference/job'
import { storeRows, sums, zero } from '../inference/simd'

/** Rows of tiles computed together. */
const BAND: i32 = 16
/** Bytes of whole sums of a thread, 16 for each row of a band; as many float sums come after them. */
const SUMS: usize = 4096

/** Where two weights lie: the bits of their place begin `from` bits into the window. */
// @ts-expect-error: decorator
@inline
function place<T>(window: T, from: T, table: usize, mask: u32): usize {
  return table + (<u32>(from === 0 ? window << 1 : window >> (from - 1)) & mask)
}

/** Eight weights of `rate` quarters of a bit, as 16-bit lanes: bit `bit` of a tile is in the window's first byte. */
// @ts-expect-error: decorator
@inline
function eight(rate: u64, window: u64, bit: u64, even: usize, odd: usize, evenMask: u32, oddMask: u32): v128 {
  const at = bit & 7
  // four bytes, of which the next overwrites two: a load is less work than an insertion
  let v = v128.load_zero<u32>(place(window, at + 2 * rate - (rate >> 1), even, evenMask))
  v = v128.load_lane<u16>(place(window, at + rate, odd, oddMask), v, 1)
  v = v128.load_lane<u16>(place(window, at + rate - (rate >> 1), even, evenMask), v, 2)
  v = v128.load_lane<u16>(place(window, at, odd, oddMask), v, 3)
  return i16x8.extend_low_i8x16_s(v)
}

/** The bits from bit `bit` on behind `p`. */
// @ts-expect-error: decorator
@inline
function windowAt(p: usize, bit: u64): u64 {
  return load<u64>(p + <usize>(bit >> 3))
}

/**
 * Eight weights behind `p`, from two windows of 32 bits where those hold all places: V8 of Node 24 copies each place that is cut from
 * 64 bits.
 */
// @ts-expect-error: decorator
@inline
function eightAt(rate: u64, p: usize, bit: u64, even: usize, odd: usize, evenMask: u32, oddMask: u32): v128 {
  const lowAt = <u32>(bit & 7)
  const highAt = <u32>((bit + rate) & 7)
  const step = <u32>(rate - (rate >> 1))
  // places have up to 16 bits
  if (max(lowAt, highAt) + step + 16 > 32) return eight(rate, windowAt(p, bit), bit, even, odd, evenMask, oddMask)
  const low = load<u32>(p + <usize>(bit >> 3))
  const high = load<u32>(p + <usize>((bit + rate) >> 3))
  let v = v128.load_zero<u32>(place(high, highAt + step, even, evenMask))
  v = v128.load_lane<u16>(place(high, highAt, odd, oddMask), v, 1)
  v = v128.load_lane<u16>(place(low, lowAt + step, even, evenMask), v, 2)
  v = v128.load_lane<u16>(place(low, lowAt, odd, oddMask), v, 3)
  return i16x8.extend_low_i8x16_s(v)
}

/** The bits from bit `bit` on where the tile, which begins at `tile`, ends 8 · rate bits behind `p`: its first bits come after its last. */
// @ts-expect-error: decorator
@inline
function lastWindow(rate: u64, p: usize, bit: u64, tile: usize): u64 {
  const left = 8 * rate - (bit & ~7)
  return (windowAt(p, bit) & (((<u64>1) << left) - 1)) | (load<u64>(tile) << left)
}

// @ts-expect-error: decorator
@inline
function addTo(sum: usize, low: v128, x: v128, high: v128, y: v128): void {
  const product = i32x4.add(i32x4.dot_i16x8_s(low, x), i32x4.dot_i16x8_s(high, y))
  v128.store(sum, i32x4.add(v128.load(sum), product))
}

/** Columns of tiles of one rate, `tiles` in each of `tileRows` rows of tiles, and what they are multiplied with. */
@unmanaged
class Columns {
  /** The first tile. */
  p: usize
  rowBytes: usize
  tileRows: i32
  tiles: i32
  x: usize
  /** Sums of the first row of weights. */
  sum: usize
  even: usize
  odd: usize
  evenMask: u32
  oddMask: u32
  /** What is fetched meanwhile, as many bytes as the columns have. */
  ahead: usize
}

/** Adds the products of columns of `rate` to the sums of their rows. */
// @ts-expect-error: decorator
@inline
function columns(rate: u64, given: Columns): void {
  const rowBytes = given.rowBytes
  const even = given.even
  const evenMask = given.evenMask
  // at whole and half bits all weights append as many
  const odd = rate & 1 ? given.odd : even
  const oddMask = rate & 1 ? given.oddMask : evenMask
  let p = given.p
  let sum = given.sum
  let ahead = given.ahead
  for (let tileRows = given.tileRows; tileRows > 0; tileRows--, p += rowBytes, sum += 256) {
    const next: usize = tileRows > 1 ? rowBytes : 0
    let tile = p
    let at = given.x
    for (let t = given.tiles; t > 0; t--, tile += <usize>rate << 3, ahead += <usize>rate << 3, at += 32) {
      const low = v128.load(at)
      const high = v128.load(at, 16)
      let two = tile + 7 * <usize>rate
      let to = sum
      // fetches a row of tiles ahead, which the processor does not do by itself, and the next band, in the order of its bytes
      load<u8>(tile + next)
      load<u8>(tile + next, 64)
      load<u8>(ahead)
      load<u8>(ahead, 64)
      if (rate > 16) load<u8>(ahead, 128)
      addTo(
        to,
        eight(rate, lastWindow(rate, two, 6 * rate, tile), 6 * rate, even, odd, evenMask, oddMask), low,
        rate < 8
          ? eight(rate, lastWindow(rate, two, 4 * rate, tile), 4 * rate, even, odd, evenMask, oddMask)
          : eightAt(rate, two, 4 * rate, even, odd, evenMask, oddMask), high,
      )
      for (;;) {
        addTo(
          to + 16,
          eightAt(rate, two, 2 * rate, even, odd, evenMask, oddMask), low,
          eightAt(rate, two, 0, even, odd, evenMask, oddMask), high,
        )
        if (two === tile) break
        two -= <usize>rate
        to += 32
        addTo(
          to,
          eightAt(rate, two, 6 * rate, even, odd, evenMask, oddMask), low,
          eightAt(rate, two, 4 * rate, even, odd, evenMask, oddMask), high,
        )
      }
    }
  }
  given.ahead = ahead
}

// A function for each rate: in one for all of them engines keep masks and tables in memory.
function columns4(given: Columns): void {
  columns(4, given)
}
function columns5(given: Columns): void {
  columns(5, given)
}
function columns6(given: Columns): void {
  columns(6, given)
}
function columns7(given: Columns): void {
  columns(7, given)
}
function columns8(given: Columns): void {
  columns(8, given)
}
function columns9(given: Columns): void {
  columns(9, given)
}
function columns10(given: Columns): void {
  columns(10, given)
}
function columns11(given: Columns): void {
  columns(11, given)
}
function columns12(given: Columns): void {
  columns(12, given)
}
function columns13(given: Columns): void {
  columns(13, given)
}
function columns14(given: Columns): void {
  columns(14, given)
}
function columns15(given: Columns): void {
  columns(15, given)
}
function columns16(given: Columns): void {
  columns(16, given)
}
function columns17(given: Columns): void {
  columns(17, given)
}
function columns18(given: Columns): void {
  columns(18, given)
}
function columns19(given: Columns): void {
  columns(19, given)
}
function columns20(given: Columns): void {
  columns(20, given)
}
function columns21(given: Columns): void {
  columns(21, given)
}
function columns22(given: Columns): void {
  columns(22, given)
}
function columns23(given: Columns): void {
  columns(23, given)
}
function columns24(given: Columns): void {
  columns(24, given)
}

function columnsOf(rate: u32, given: Columns): void {
  switch (rate) {
    case 4:
      return columns4(given)
    case 5:
      return columns5(given)
    case 6:
      return columns6(given)
    case 7:
      return columns7(given)
    case 8:
      return columns8(given)
    case 9:
      return columns9(given)
    case 10:
      return columns10(given)
    case 11:
      return columns11(given)
    case 12:
      return columns12(given)
    case 13:
      return columns13(given)
    case 14:
      return columns14(given)
    case 15:
      return columns15(given)
    case 16:
      return columns16(given)
    case 17:
      return columns17(given)
    case 18:
      return columns18(given)
    case 19:
      return columns19(given)
    case 20:
      return columns20(given)
    case 21:
      return columns21(given)
    case 22:
      return columns22(given)
    case 23:
      return columns23(given)
    case 24:
      return columns24(given)
  }
}

/** Arguments as of `severalTokensPart`, for one token; scratch of `streamScratch` bytes per thread. All tables are of pairs. */
export function oneTokenPart(part: i32, parts: i32, thread: i32): void {
  const rows = arg(5)
  const group = arg(7) >> 4
  const tiles = arg(6) >> 4
  const groups = <usize>((tiles + group - 1) / group) << 2
  const whole = <usize>arg(16) + <usize>(thread * arg(17))
  const last = share((rows + 15) >> 4, part + 1, parts)
  for (let from = share((rows + 15) >> 4, part, parts); from < last; from += BAND) {
    const tileRows = min(BAND, last - from)
    const quads = (min(tileRows << 4, rows - (from << 4)) + 3) >> 2
    const scales = <usize>arg(1) + (<usize>from << 4) * groups
    let p = <usize>arg(0) + <usize>from * <usize>arg(12)
    changetype<Columns>(whole + 2 * SUMS).ahead = p + <usize>tileRows * <usize>arg(12)
    zero(whole + SUMS, <usize>quads << 6)
    for (let g = 0; g * group < tiles; g++) {
      zero(whole, <usize>tileRows << 8)
      p = groupOfColumns(p, tileRows, g * group, min(tiles, (g + 1) * group), whole)
      scaleSums(whole, quads << 2, scales + (<usize>g << 2), groups)
    }
    storeSums(whole + SUMS, from << 4, quads, rows)
  }
}

/** Adds up columns of tiles from `first` to `last`, the first of which begins at `p`; returns where the next one does. */
function groupOfColumns(p: usize, tileRows: i32, first: i32, last: i32, whole: usize): usize {
  const given = changetype<Columns>(whole + 2 * SUMS)
  given.rowBytes = arg(12)
  given.tileRows = tileRows
  given.sum = whole
  const lastRow = <usize>arg(0) + <usize>((arg(5) - 1) >> 4) * given.rowBytes
  const rates = <usize>arg(13)
  const stateBits = arg(15)
  while (first < last) {
    const rate = <u32>load<u8>(rates + first)
    let next = first + 1
    while (next < last && <u32>load<u8>(rates + next) === rate) next++
    const entry = <usize>arg(14) + (<usize>rate << 3)
    given.p = p
    // behind the last band there may be no memory
    if (given.ahead + ((<usize>(tileRows * (next - first)) * <usize>rate) << 3) > lastRow) given.ahead = p
    given.tiles = next - first
    given.x = <usize>arg(2) + (<usize>first << 5)
    given.even = load<u32>(entry)
    given.odd = load<u32>(entry, 4)
    given.evenMask = ((1 << (stateBits + (rate >> 1) - (rate >> 2))) - 1) << 1
    given.oddMask = ((1 << (stateBits + rate - ((3 * rate) >> 2))) - 1) << 1
    columnsOf(rate, given)
    p += <usize>((next - first) * rate) << 3
    first = next
  }
  return p
}

/** Adds whole sums, times the scales of their rows, to float sums. */
function scaleSums(whole: usize, rows: i32, scales: usize, groups: usize): void {
  for (; rows > 0; rows--, whole += 16, scales += groups) {
    const sum = f32x4.mul(f32x4.convert_i32x4_s(v128.load(whole)), v128.load_splat<f32>(scales))
    v128.store(whole + SUMS, f32x4.add(v128.load(whole + SUMS), sum))
  }
}

function storeSums(at: usize, row: i32, quads: i32, rows: i32): void {
  const scale = v128.load_splat<f32>(<usize>arg(3))
  const accumulate = arg(10) !== 0
  for (; quads > 0; quads--, at += 64, row += 4) {
    const sum = sums(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48))
    storeRows(<usize>arg(4) + (<usize>row << 2), f32x4.mul(sum, scale), rows - row, accumulate)
  }
}
