// Products of one token with a trellis code, in the layout of `trellis-stream.ts`: weights are looked up, multiplied and
// forgotten. Places of eight pairs of weights are found at once, in SIMD lanes, and read back one by one. Columns of one rate are
// computed for many rows at a time: their shifts are constants, and their tables stay in the fastest cache. Sums are whole numbers
// until a group of columns ends, so that their order does not matter.
import { arg, share } from '../inference/job'
import { storeRows, zero } from '../inference/simd'
import { around } from '../inference/trellis'

/** Rows of tiles computed together. */
const BAND: i32 = 16
/** Bytes of whole sums of a thread, 256 for each row of tiles of a band; as many float sums come after them. */
const SUMS: usize = 4096
/** Tiles whose places are found before their weights are looked up, and the bytes that the places of one take. */
const TILES: i32 = 16
const PLACES: usize = 256
/** Bytes before the places. */
const COLUMNS: usize = 64

/** Columns of tiles of one rate, `tiles` in each of `tileRows` rows of tiles, and what they are multiplied with. */
@unmanaged
class Columns {
  /** The first tile. */
  p: usize
  rowBytes: usize
  tileRows: i32
  tiles: i32
  x: usize
  /** Sums of the first row of tiles, see `lookUp`. */
  sum: usize
  even: usize
  odd: usize
  evenMask: i32
  oddMask: i32
}

/** Sixteen bits of each lane from bit 16·k on, where a lane has 8·rate bits; `first` are those of the lanes before from bit 0 on. */
// @ts-expect-error: decorator
@inline
function word(rate: usize, tile: usize, k: usize, first: v128): v128 {
  const left = <isize>(8 * rate - 16 * k)
  if (left === 0) return first
  if (left === 8) return v128.or(v128.load_ext<u8>(tile + (k << 4)), i16x8.shl(first, 8))
  if (left === -8) return i16x8.shr_u(first, 8)
  return v128.load(tile + (k << 4))
}

/** The first bit of the places of pair `pair` in each lane. */
// @ts-expect-error: decorator
@inline
function bitOf(rate: usize, pair: usize): usize {
  return 8 * rate - (((pair + 1) * rate) >> 1)
}

/** Whether the places of pair `pair` begin in another word than those of the pair behind it. */
// @ts-expect-error: decorator
@inline
function isNext(rate: usize, pair: usize): bool {
  return bitOf(rate, pair) >> 4 !== bitOf(rate, pair + 1) >> 4
}

/** The places of pair `pair` of each lane in their table, from the word that they begin in and the next one. */
// @ts-expect-error: decorator
@inline
function place(rate: usize, pair: usize, places: usize, low: v128, high: v128, mask: v128): void {
  const at = <i32>(bitOf(rate, pair) & 15)
  const v = at > 0 ? v128.or(i16x8.shr_u(low, at), i16x8.shl(high, 16 - at)) : low
  v128.store(places + (pair << 4), v128.and(v, mask))
}

/** Adds the products of columns of `rate` to the sums of their rows. */
// @ts-expect-error: decorator
@inline
function columns(rate: usize, given: Columns): void {
  const evenMask = i16x8.splat(<i16>given.evenMask)
  const oddMask = i16x8.splat(<i16>given.oddMask)
  const places = changetype<usize>(given) + COLUMNS
  // at whole and half bits all pairs append as many
  const odd = rate & 1 ? given.odd : given.even
  let p = given.p
  let sum = given.sum
  for (let tileRows = given.tileRows; tileRows > 0; tileRows--, p += given.rowBytes, sum += 256) {
    let tile = p
    let x = given.x
    for (let left = given.tiles; left > 0; left -= TILES, x += 32 * TILES) {
      const end = places + PLACES * <usize>min(left, TILES)
      for (let at = places; at < end; at += PLACES, tile += rate << 3) {
        const first = around(v128.load(tile))
        let low = word(rate, tile, 0, first)
        let high = word(rate, tile, 1, first)
        place(rate, 15, at, low, high, oddMask)
        if (isNext(rate, 14)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 14) >> 4) + 1, first)
        }
        place(rate, 14, at, low, high, evenMask)
        if (isNext(rate, 13)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 13) >> 4) + 1, first)
        }
        place(rate, 13, at, low, high, oddMask)
        if (isNext(rate, 12)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 12) >> 4) + 1, first)
        }
        place(rate, 12, at, low, high, evenMask)
        if (isNext(rate, 11)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 11) >> 4) + 1, first)
        }
        place(rate, 11, at, low, high, oddMask)
        if (isNext(rate, 10)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 10) >> 4) + 1, first)
        }
        place(rate, 10, at, low, high, evenMask)
        if (isNext(rate, 9)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 9) >> 4) + 1, first)
        }
        place(rate, 9, at, low, high, oddMask)
        if (isNext(rate, 8)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 8) >> 4) + 1, first)
        }
        place(rate, 8, at, low, high, evenMask)
        if (isNext(rate, 7)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 7) >> 4) + 1, first)
        }
        place(rate, 7, at, low, high, oddMask)
        if (isNext(rate, 6)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 6) >> 4) + 1, first)
        }
        place(rate, 6, at, low, high, evenMask)
        if (isNext(rate, 5)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 5) >> 4) + 1, first)
        }
        place(rate, 5, at, low, high, oddMask)
        if (isNext(rate, 4)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 4) >> 4) + 1, first)
        }
        place(rate, 4, at, low, high, evenMask)
        if (isNext(rate, 3)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 3) >> 4) + 1, first)
        }
        place(rate, 3, at, low, high, oddMask)
        if (isNext(rate, 2)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 2) >> 4) + 1, first)
        }
        place(rate, 2, at, low, high, evenMask)
        if (isNext(rate, 1)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 1) >> 4) + 1, first)
        }
        place(rate, 1, at, low, high, oddMask)
        if (isNext(rate, 0)) {
          low = high
          high = word(rate, tile, (bitOf(rate, 0) >> 4) + 1, first)
        }
        place(rate, 0, at, low, high, evenMask)
      }
      lookUp(places, end, x, sum, given.even, odd)
    }
  }
}

/** Pairs of weights of four lanes, as 16-bit lanes. */
// @ts-expect-error: decorator
@inline
function four(at: usize, table: usize): v128 {
  // two places at a time: processors shift faster than they load
  const low = load<u32>(at)
  const high = load<u32>(at, 4)
  // four bytes, of which the next overwrites two: a load is less work than an insertion
  let v = v128.load_zero<u32>(table + <usize>((low >> 16) << 1))
  v = v128.load_lane<u16>(table + <usize>((low & 0xffff) << 1), v, 1)
  v = v128.load_lane<u16>(table + <usize>((high >> 16) << 1), v, 2)
  v = v128.load_lane<u16>(table + <usize>((high & 0xffff) << 1), v, 3)
  return i16x8.extend_low_i8x16_s(v)
}

// @ts-expect-error: decorator
@inline
function dot(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x))
}

/**
 * Adds the products of tiles whose places lie until `end`. For each fourth pair of columns there are sums of the even rows, then of the
 * odd ones: lanes as those of the places.
 */
function lookUp(places: usize, end: usize, x: usize, sum: usize, even: usize, odd: usize): void {
  const last = places + 32
  let table = even
  for (; places < last; places += 16, x += 4, sum += 64) {
    let a = v128.load(sum)
    let b = v128.load(sum, 16)
    let c = v128.load(sum, 32)
    let d = v128.load(sum, 48)
    let e = v128.load(sum, 128)
    let f = v128.load(sum, 144)
    let g = v128.load(sum, 160)
    let h = v128.load(sum, 176)
    let y = x
    for (let at = places; at < end; at += PLACES, y += 32) {
      let u = v128.load_splat<u32>(y)
      a = dot(a, four(at, table), u)
      b = dot(b, four(at + 8, table), u)
      c = dot(c, four(at + 128, table), u)
      d = dot(d, four(at + 136, table), u)
      u = v128.load_splat<u32>(y, 8)
      e = dot(e, four(at + 32, table), u)
      f = dot(f, four(at + 40, table), u)
      g = dot(g, four(at + 160, table), u)
      h = dot(h, four(at + 168, table), u)
      u = v128.load_splat<u32>(y, 16)
      a = dot(a, four(at + 64, table), u)
      b = dot(b, four(at + 72, table), u)
      c = dot(c, four(at + 192, table), u)
      d = dot(d, four(at + 200, table), u)
      u = v128.load_splat<u32>(y, 24)
      e = dot(e, four(at + 96, table), u)
      f = dot(f, four(at + 104, table), u)
      g = dot(g, four(at + 224, table), u)
      h = dot(h, four(at + 232, table), u)
    }
    v128.store(sum, a)
    v128.store(sum, b, 16)
    v128.store(sum, c, 32)
    v128.store(sum, d, 48)
    v128.store(sum, e, 128)
    v128.store(sum, f, 144)
    v128.store(sum, g, 160)
    v128.store(sum, h, 176)
    table = odd
  }
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
    zero(whole + SUMS, <usize>tileRows << 8)
    for (let g = 0; g * group < tiles; g++) {
      zero(whole, <usize>tileRows << 8)
      p = groupOfColumns(p, tileRows, g * group, min(tiles, (g + 1) * group), whole)
      scaleSums(whole, quads, scales + (<usize>g << 2), groups)
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
  const rates = <usize>arg(13)
  const stateBits = arg(15)
  while (first < last) {
    const rate = <u32>load<u8>(rates + first)
    let next = first + 1
    while (next < last && <u32>load<u8>(rates + next) === rate) next++
    const entry = <usize>arg(14) + (<usize>rate << 3)
    given.p = p
    given.tiles = next - first
    given.x = <usize>arg(2) + (<usize>first << 5)
    given.even = load<u32>(entry)
    given.odd = load<u32>(entry, 4)
    given.evenMask = (1 << (stateBits + (rate >> 1) - (rate >> 2))) - 1
    given.oddMask = (1 << (stateBits + rate - ((3 * rate) >> 2))) - 1
    columnsOf(rate, given)
    p += <usize>((next - first) * rate) << 3
    first = next
  }
  return p
}

/** Adds whole sums, times the scales of their rows, to float sums, rows in their order. */
function scaleSums(whole: usize, quads: i32, scales: usize, groups: usize): void {
  for (let q = 0; q < quads; q++, scales += 4 * groups) {
    let scale = v128.load_zero<f32>(scales)
    scale = v128.load_lane<f32>(scales + groups, scale, 1)
    scale = v128.load_lane<f32>(scales + 2 * groups, scale, 2)
    scale = v128.load_lane<f32>(scales + 3 * groups, scale, 3)
    // two rows of each kind
    const from = whole + (<usize>(q >> 2) << 8) + (<usize>(q & 3) << 3)
    const to = whole + SUMS + (<usize>(q >> 2) << 8) + (<usize>(q & 3) << 4)
    for (let part: usize = 0; part < 256; part += 64) {
      const even = v128.load_zero<u64>(from + part)
      const odd = v128.load_zero<u64>(from + part, 32)
      const sum = f32x4.mul(f32x4.convert_i32x4_s(v128.shuffle<i32>(even, odd, 1, 5, 0, 4)), scale)
      v128.store(to + part, f32x4.add(v128.load(to + part), sum))
    }
  }
}

function storeSums(at: usize, row: i32, quads: i32, rows: i32): void {
  const scale = v128.load_splat<f32>(<usize>arg(3))
  const accumulate = arg(10) !== 0
  for (let q = 0; q < quads; q++, row += 4) {
    const start = at + (<usize>(q >> 2) << 8) + (<usize>(q & 3) << 4)
    // in the order of `sums`
    const sum = f32x4.add(
      f32x4.add(v128.load(start), v128.load(start, 128)),
      f32x4.add(v128.load(start, 64), v128.load(start, 192)),
    )
    storeRows(<usize>arg(4) + (<usize>row << 2), f32x4.mul(sum, scale), rows - row, accumulate)
  }
}
