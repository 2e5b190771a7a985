import { TILE_LANES, type TrellisTiles } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { DecodedSegment } from './trellis.ts'

/** A trellis code in the order that the inference kernels read it in, see {@link trellisStream}. */
export interface TrellisStream {
  /** Tiles `[tileRows, tileCols]`, from left to right. */
  readonly codes: Uint8Array<ArrayBuffer>
  /** Four times the bits per weight of each column of tiles. */
  readonly rates: Uint8Array<ArrayBuffer>
  /** Bytes of a row of tiles. */
  readonly rowBytes: number
}

/** Bytes of scratch for each thread of `expandTrellis`. */
export const EXPAND_SCRATCH = 768

/** Bytes of scratch for each thread of `matmulTrellis` with `cols` columns: a row of tiles, or sums of many rows and what they add up. */
export const streamScratch = (cols: number): number => Math.max(16 * cols + EXPAND_SCRATCH, 12352)

/**
 * The stored bits in another order. Take those of a tile from its last weight to its first, bit 0 the lowest of byte 0: weight `t` of a
 * tile of `256·k` bits begins at bit `256·k − ⌊(t+1)·k⌋`, and its state are the `L` bits from there on. An eighth of them are two rows of
 * weights. The eighths lie beside each other as lanes, the last one first, 16 bits of each after 16 bits of the next, and where
 * they have an odd number of bytes, their last bytes at the end. So the states of weight `t` of all lanes are a load and a shift away.
 *
 * @param allocate gives memory for so many words
 */
export function trellisStream(
  segments: readonly Pick<DecodedSegment, 'tiles' | 'words'>[],
  allocate = (words: number): Uint32Array<ArrayBuffer> => new Uint32Array(words),
): TrellisStream {
  const rates = segments.flatMap(({ tiles }) => new Array<number>(tiles.tileCols).fill(4 * tiles.bits))
  const rowBytes = rates.reduce((sum, rate) => sum + 8 * rate, 0)
  const { buffer, byteOffset, byteLength } = allocate((segments[0].tiles.tileRows * rowBytes) / 4)
  const codes = new Uint8Array(buffer, byteOffset, byteLength)
  let left = 0
  for (const { tiles, words } of segments) {
    layLanes(tiles, words, codes.subarray(left), rowBytes)
    left += 4 * tiles.tileCols * tiles.tileWords
  }
  return { codes, rates: Uint8Array.from(rates), rowBytes }
}

/** Where byte `i` of a tile, whose bits are those from its last weight to its first, lies in its lanes. `rate` is that of the stream. */
export const laneBytes = (rate: number): Uint8Array =>
  Uint8Array.from({ length: 8 * rate }, (_, i) => {
    const lane = 7 - Math.floor(i / rate)
    const at = i % rate
    // the last one of an odd number has no other beside it
    return at === rate - 1 && at % 2 === 0 ? 8 * at + lane : 16 * (at >> 1) + 2 * lane + (at & 1)
  })

/**
 * Writes the bytes of each tile as lanes, rows of tiles `rowBytes` apart. Words are read in the order in which they lie; sizes are
 * whole numbers that the engine knows to be whole: a rate in quarters makes it compute in floats.
 */
function layLanes(
  { tileRows, tileCols, tileWords, bits }: TrellisTiles,
  words: Uint32Array,
  to: Uint8Array,
  rowBytes: number,
): void {
  const [tiles, size] = [tileCols | 0, tileWords | 0]
  const places = laneBytes(4 * bits)
  const halves = (4 * bits) % 2 === 0 ? new Uint16Array(to.buffer, to.byteOffset, to.length >> 1) : undefined
  let next = 0
  for (let top = 0; top < tileRows; top += TILE_LANES) {
    const lanes = Math.min(TILE_LANES, tileRows - top)
    let first = top * rowBytes
    for (let tile = 0; tile < tiles; tile++, first += 4 * size, next += lanes * size) {
      if (halves) layHalves(words, next, halves, first >> 1, rowBytes >> 1, lanes, places)
      else layBytes(words, next, to, first, rowBytes, lanes, places)
    }
  }
}

/** Writes `lanes` tiles that lie `down` below each other, from word `next` on, to `first`. */
function layBytes(
  words: Uint32Array,
  next: number,
  to: Uint8Array,
  first: number,
  down: number,
  lanes: number,
  places: Uint8Array,
): void {
  for (let i = places.length - 4; i >= 0; i -= 4) {
    const [a, b, c, d] = [places[i], places[i + 1], places[i + 2], places[i + 3]]
    for (let row = 0, at = first; row < lanes; row++, at += down) {
      const word = words[next++]
      to[at + a] = word
      to[at + b] = word >>> 8
      to[at + c] = word >>> 16
      to[at + d] = word >>> 24
    }
  }
}

/** The same for lanes without an odd byte: two bytes at a time, and all rows in one turn, in half of the time. */
function layHalves(
  words: Uint32Array,
  next: number,
  to: Uint16Array,
  first: number,
  down: number,
  lanes: number,
  places: Uint8Array,
): void {
  for (let i = places.length - 4; i >= 0; i -= 4) {
    const low = first + (places[i] >> 1)
    const high = first + (places[i + 2] >> 1)
    const a = words[next]
    to[low] = a
    to[high] = a >>> 16
    if (lanes > 1) {
      const b = words[next + 1]
      to[low + down] = b
      to[high + down] = b >>> 16
    }
    if (lanes > 2) {
      const c = words[next + 2]
      to[low + 2 * down] = c
      to[high + 2 * down] = c >>> 16
    }
    if (lanes > 3) {
      const d = words[next + 3]
      to[low + 3 * down] = d
      to[high + 3 * down] = d >>> 16
    }
    next += lanes
  }
}

/** Bits of the longest index into a table of pairs: longer ones would leave the processor's caches. */
const MOST_PAIR_BITS = 16

/**
 * Bits that the second and the fourth of four weights append at a rate; undefined where tables of pairs of such weights would be
 * too long.
 */
export function pairSteps(stateBits: number, bits: number): readonly [number, number] | undefined {
  const steps = [
    Math.floor(2 * bits) - Math.floor(bits),
    Math.floor(4 * bits) - Math.floor(3 * bits),
  ] as const
  return Math.max(...steps) + stateBits > MOST_PAIR_BITS ? undefined : steps
}

/**
 * A table of two weights at once, the second of which appends `step` bits. Entry `i` holds the values of the states `i >> step` and
 * `i mod 2^L`, low byte first. Kernels read one entry more than there are states, which counts for nothing.
 */
export function pairTable(values: Int8Array, stateBits: number, step: number): Uint16Array<ArrayBuffer> {
  const mask = 2 ** stateBits - 1
  const pairs = new Uint16Array(2 ** (stateBits + step) + 1)
  for (let i = 0; i < pairs.length - 1; i++)
    pairs[i] = (values[i >> step] & 255) | ((values[i & mask] & 255) << 8)
  return pairs
}
