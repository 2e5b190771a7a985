// Trellis codes in the layout of `trellis-stream.ts`: tile after tile along a row of tiles, the bits of a tile from its last
// weight to its first, so that the state of any weight is one load and one shift away. Four rows at a time become bytes in
// the blocks of `integer.ts`.
import { arg, share } from './job'

/** The bits from bit `at` on. */
// @ts-expect-error: decorator
@inline
function window(p: usize, at: u64): u64 {
  return load<u64>(p + <usize>(at >> 3))
}

/** Two weights: their place in the table begins `shift` bits behind bit `at`, where the window was loaded. */
// @ts-expect-error: decorator
@inline
function pair(window: u64, at: u64, shift: u64, table: usize, mask: u32): u32 {
  const from = (at & 7) + shift
  return load<u16>(table + (<u32>(from === 0 ? window << 1 : window >> (from - 1)) & mask))
}

/** Two rows of a tile, whose bits begin at `p`: 32 bytes to `out`. */
// @ts-expect-error: decorator
@inline
function twoRows(rate: u64, p: usize, out: usize, even: usize, odd: usize, evenMask: u32, oddMask: u32): void {
  const w0 = window(p, 6 * rate)
  store<u16>(out, pair(w0, 6 * rate, 2 * rate - (rate >> 1), even, evenMask))
  store<u16>(out, pair(w0, 6 * rate, rate, odd, oddMask), 2)
  store<u16>(out, pair(w0, 6 * rate, rate - (rate >> 1), even, evenMask), 4)
  store<u16>(out, pair(w0, 6 * rate, 0, odd, oddMask), 6)
  const w1 = window(p, 4 * rate)
  store<u16>(out, pair(w1, 4 * rate, 2 * rate - (rate >> 1), even, evenMask), 8)
  store<u16>(out, pair(w1, 4 * rate, rate, odd, oddMask), 10)
  store<u16>(out, pair(w1, 4 * rate, rate - (rate >> 1), even, evenMask), 12)
  store<u16>(out, pair(w1, 4 * rate, 0, odd, oddMask), 14)
  const w2 = window(p, 2 * rate)
  store<u16>(out, pair(w2, 2 * rate, 2 * rate - (rate >> 1), even, evenMask), 16)
  store<u16>(out, pair(w2, 2 * rate, rate, odd, oddMask), 18)
  store<u16>(out, pair(w2, 2 * rate, rate - (rate >> 1), even, evenMask), 20)
  store<u16>(out, pair(w2, 2 * rate, 0, odd, oddMask), 22)
  const w3 = window(p, 0)
  store<u16>(out, pair(w3, 0, 2 * rate - (rate >> 1), even, evenMask), 24)
  store<u16>(out, pair(w3, 0, rate, odd, oddMask), 26)
  store<u16>(out, pair(w3, 0, rate - (rate >> 1), even, evenMask), 28)
  store<u16>(out, pair(w3, 0, 0, odd, oddMask), 30)
}

/** The same where a row has whole bytes. */
// @ts-expect-error: decorator
@inline
function rowByRow(rate: u64, p: usize, out: usize, even: usize, odd: usize, evenMask: u32, oddMask: u32): void {
  const end = out + 32
  p += <usize>(rate >> 1)
  do {
    const w0 = window(p, 2 * rate)
    store<u16>(out, pair(w0, 2 * rate, 2 * rate - (rate >> 1), even, evenMask))
    store<u16>(out, pair(w0, 2 * rate, rate, odd, oddMask), 2)
    store<u16>(out, pair(w0, 2 * rate, rate - (rate >> 1), even, evenMask), 4)
    store<u16>(out, pair(w0, 2 * rate, 0, odd, oddMask), 6)
    const w1 = window(p, 0)
    store<u16>(out, pair(w1, 0, 2 * rate - (rate >> 1), even, evenMask), 8)
    store<u16>(out, pair(w1, 0, rate, odd, oddMask), 10)
    store<u16>(out, pair(w1, 0, rate - (rate >> 1), even, evenMask), 12)
    store<u16>(out, pair(w1, 0, 0, odd, oddMask), 14)
    p -= <usize>(rate >> 1)
    out += 16
  } while (out < end)
}

/** The shifts of each rate are constants: they would take most of the time otherwise. */
function decodePairs(
  rate: u32, p: usize, out: usize, even: usize, odd: usize, evenMask: u32, oddMask: u32,
): void {
  switch (rate) {
    case 4:
      return rowByRow(4, p, out, even, odd, evenMask, oddMask)
    case 6:
      return rowByRow(6, p, out, even, odd, evenMask, oddMask)
    case 8:
      return rowByRow(8, p, out, even, odd, evenMask, oddMask)
    case 10:
      return rowByRow(10, p, out, even, odd, evenMask, oddMask)
    case 12:
      return rowByRow(12, p, out, even, odd, evenMask, oddMask)
    case 14:
      return rowByRow(14, p, out, even, odd, evenMask, oddMask)
    case 16:
      return rowByRow(16, p, out, even, odd, evenMask, oddMask)
    case 18:
      return rowByRow(18, p, out, even, odd, evenMask, oddMask)
    case 20:
      return rowByRow(20, p, out, even, odd, evenMask, oddMask)
    case 22:
      return rowByRow(22, p, out, even, odd, evenMask, oddMask)
    case 24:
      return rowByRow(24, p, out, even, odd, evenMask, oddMask)
    case 5:
      return twoRows(5, p, out, even, odd, evenMask, oddMask)
    case 7:
      return twoRows(7, p, out, even, odd, evenMask, oddMask)
    case 9:
      return twoRows(9, p, out, even, odd, evenMask, oddMask)
    case 11:
      return twoRows(11, p, out, even, odd, evenMask, oddMask)
    case 13:
      return twoRows(13, p, out, even, odd, evenMask, oddMask)
    case 15:
      return twoRows(15, p, out, even, odd, evenMask, oddMask)
    case 17:
      return twoRows(17, p, out, even, odd, evenMask, oddMask)
    case 19:
      return twoRows(19, p, out, even, odd, evenMask, oddMask)
    case 21:
      return twoRows(21, p, out, even, odd, evenMask, oddMask)
    case 23:
      return twoRows(23, p, out, even, odd, evenMask, oddMask)
  }
}

/** The same with a table of single weights, which may be long. */
function decodeSingles(rate: u32, p: usize, out: usize, table: usize, mask: u32): void {
  for (let t: u32 = 1; t <= 32; t++) {
    const bit = (rate << 3) - ((t * rate) >> 2)
    store<u8>(out++, load<u8>(table + ((load<u32>(p + (bit >> 3)) >> (bit & 7)) & mask)))
  }
}

/** Rows 4·quad … 4·quad + 3 as blocked bytes; `around` has 32 bytes of scratch. */
export function decodeQuad(
  out: usize, codes: usize, rowBytes: usize, rates: usize, tiles: i32, tables: usize, stateBits: i32, quad: i32, around: usize,
): void {
  const group = (quad & 3) << 1
  let tile = codes + <usize>(quad >> 2) * rowBytes
  for (let t = 0; t < tiles; t++, out += 64) {
    const rate = <u32>load<u8>(rates + t)
    const entry = tables + (<usize>rate << 3)
    const even = <usize>load<u32>(entry)
    const odd = <usize>load<u32>(entry, 4)
    let p = tile + rate * (7 - group)
    const next = p - rate
    if (group === 0) {
      // before a tile's first weight comes its last
      v128.store(around, v128.load(p))
      store<u64>(around, load<u64>(p, 16), 16)
      store<u64>(around + rate, load<u64>(tile))
      p = around
    }
    if (odd !== 0) {
      const evenMask: u32 = ((1 << (stateBits + (rate >> 1) - (rate >> 2))) - 1) << 1
      const oddMask: u32 = ((1 << (stateBits + rate - ((3 * rate) >> 2))) - 1) << 1
      decodePairs(rate, p, out, even, odd, evenMask, oddMask)
      decodePairs(rate, next, out + 32, even, odd, evenMask, oddMask)
    } else {
      const mask: u32 = (1 << stateBits) - 1
      decodeSingles(rate, p, out, even, mask)
      decodeSingles(rate, next, out + 32, even, mask)
    }
    tile += <usize>rate << 3
  }
}

/** The whole matrix as blocked bytes. Arguments: codes, rows, columns, bytes of a row of tiles, rates, tables, state bits, weights, scratch. */
export function expandTrellisPart(part: i32, parts: i32, thread: i32): void {
  const columns = arg(2)
  const quads = (arg(1) + 3) >> 2
  const last = share(quads, part + 1, parts)
  for (let q = share(quads, part, parts); q < last; q++) {
    const out = <usize>arg(7) + <usize>(q << 2) * columns
    decodeQuad(out, arg(0), arg(3), arg(4), columns >> 4, arg(5), arg(6), q, arg(8) + (thread << 5))
  }
}
