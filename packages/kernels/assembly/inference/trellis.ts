// Trellis codes in the layout of `trellis-stream.ts`: tile after tile along a row of tiles, two rows of weights in each of eight
// 16-bit lanes, so that the states of eight weights are found at once. Rows of tiles become bytes in the blocks of `integer.ts`.
import { arg, share } from './job'

/** Bytes of scratch for the words of a tile, before the places of its weights. */
const WORDS: usize = 256
/** Bytes of scratch of a thread. */
const SCRATCH: i32 = 768

/** To each lane what the one before it has, to the first what the last one has. */
// @ts-expect-error: decorator
@inline
export function around(v: v128): v128 {
  return v128.shuffle<i8>(v, v, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
}

/** The words of a tile, and what comes behind the last one of each lane. */
function copyWords(tile: usize, rate: usize, to: usize): void {
  const behind = around(v128.load(tile))
  for (const end = tile + ((rate >> 1) << 4); tile < end; tile += 16, to += 16) v128.store(to, v128.load(tile))
  if (rate & 1) {
    v128.store(to, v128.or(v128.load_ext<u8>(tile), i16x8.shl(behind, 8)))
    v128.store(to, i16x8.shr_u(behind, 8), 16)
  } else v128.store(to, behind)
}

/** Where the tables have what `count` steps of each lane lead to, `quarters` of a bit each; masks are those of even and odd steps. */
function findPlaces(words: usize, rate: usize, quarters: usize, count: usize, even: i32, odd: i32): void {
  let mask = i16x8.splat(<i16>even)
  let other = i16x8.splat(<i16>odd)
  let places = words + WORDS
  for (let step: usize = 1; step <= count; step++, places += 16) {
    const from = (rate << 3) - ((step * quarters) >> 2)
    const at = <i32>(from & 15)
    const word = words + ((from >> 4) << 4)
    // shifts are of up to 15 bits
    const v = v128.or(i16x8.shr_u(v128.load(word), at), i16x8.shl(i16x8.shl(v128.load(word, 16), 15 - at), 1))
    v128.store(places, v128.and(v, mask))
    const swap = mask
    mask = other
    other = swap
  }
}

/** Four rows of a tile by tables of pairs. */
function lookUpPairs(places: usize, out: usize, even: usize, odd: usize): void {
  for (const end = out + 32; out < end; out += 4, places += 32) {
    store<u16>(out, load<u16>(even + (<usize>load<u16>(places) << 1)))
    store<u16>(out, load<u16>(even + (<usize>load<u16>(places, 2) << 1)), 32)
    store<u16>(out, load<u16>(odd + (<usize>load<u16>(places, 16) << 1)), 2)
    store<u16>(out, load<u16>(odd + (<usize>load<u16>(places, 18) << 1)), 34)
  }
}

/** Four rows of a tile by a table of single weights, which may be long. */
function lookUpSingles(places: usize, out: usize, table: usize): void {
  for (const end = out + 32; out < end; out++, places += 16) {
    store<u8>(out, load<u8>(table + <usize>load<u16>(places)))
    store<u8>(out, load<u8>(table + <usize>load<u16>(places, 2)), 32)
  }
}

/** The rows of `quads` blocks, four of them at most, from row of tiles `tileRow` on; `scratch` has 768 bytes. */
export function decodeRows(
  out: usize, codes: usize, rowBytes: usize, rates: usize, tiles: i32, tables: usize, stateBits: i32, tileRow: i32, quads: i32,
  scratch: usize,
): void {
  const quadBytes = <usize>tiles << 6
  let tile = codes + <usize>tileRow * rowBytes
  for (let t = 0; t < tiles; t++, out += 64) {
    const rate = <u32>load<u8>(rates + t)
    const entry = tables + (<usize>rate << 3)
    const even = <usize>load<u32>(entry)
    const odd = <usize>load<u32>(entry, 4)
    copyWords(tile, rate, scratch)
    if (odd !== 0) {
      const evenMask = (1 << (stateBits + (rate >> 1) - (rate >> 2))) - 1
      const oddMask = (1 << (stateBits + rate - ((3 * rate) >> 2))) - 1
      findPlaces(scratch, rate, 2 * rate, 16, evenMask, oddMask)
    } else findPlaces(scratch, rate, rate, 32, (1 << stateBits) - 1, (1 << stateBits) - 1)
    let places = scratch + WORDS
    let to = out
    for (const end = places + (<usize>quads << 2); places < end; places += 4, to += quadBytes) {
      if (odd !== 0) lookUpPairs(places, to, even, odd)
      else lookUpSingles(places, to, even)
    }
    tile += <usize>rate << 3
  }
}

/** The whole matrix as blocked bytes. Arguments: codes, rows, columns, bytes of a row of tiles, rates, tables, state bits, weights, scratch. */
export function expandTrellisPart(part: i32, parts: i32, thread: i32): void {
  const rows = arg(1)
  const columns = arg(2)
  const tileRows = (rows + 15) >> 4
  const last = share(tileRows, part + 1, parts)
  for (let r = share(tileRows, part, parts); r < last; r++) {
    const out = <usize>arg(7) + <usize>(r << 4) * columns
    const quads = min(4, (rows + 3 - (r << 4)) >> 2)
    decodeRows(out, arg(0), arg(3), arg(4), columns >> 4, arg(5), arg(6), r, quads, arg(8) + thread * SCRATCH)
  }
}
