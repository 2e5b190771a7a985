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

/** Bytes that the kernels may read behind the codes. */
export const STREAM_PADDING = 40

/** Bytes of scratch for each thread of `matmulTrellis` with `cols` columns: four rows of weights, or sums of many rows and what they add up. */
export const streamScratch = (cols: number): number => Math.max(4 * cols + 32, 8192 + 48)

/**
 * The stored words in another order: the bits of a tile from those of its last weight to those of its first, bit 0 the lowest
 * of byte 0. So the state of any weight is one load from a byte and one shift away: weight `t` of a tile of `256·k` bits
 * begins at bit `256·k − ⌊(t+1)·k⌋`, and its state are the `L` bits from there on.
 *
 * @param allocate gives memory for so many words
 */
export function trellisStream(
  segments: readonly Pick<DecodedSegment, 'tiles' | 'words'>[],
  allocate = (words: number): Uint32Array<ArrayBuffer> => new Uint32Array(words),
): TrellisStream {
  const rates = segments.flatMap(({ tiles }) => new Array<number>(tiles.tileCols).fill(4 * tiles.bits))
  const rowWords = rates.reduce((sum, rate) => sum + 2 * rate, 0)
  const codes = allocate(segments[0].tiles.tileRows * rowWords)
  let left = 0
  for (const { tiles, words } of segments) {
    reverseTiles(tiles, words, codes.subarray(left), rowWords)
    left += tiles.tileCols * tiles.tileWords
  }
  const { buffer, byteOffset, byteLength } = codes
  return {
    codes: new Uint8Array(buffer, byteOffset, byteLength),
    rates: Uint8Array.from(rates),
    rowBytes: 4 * rowWords,
  }
}

/**
 * Writes the words of each tile from last to first, rows of tiles `rowWords` apart. Words are read in the order in which they
 * lie; sizes are whole numbers that the engine knows to be whole: a rate in quarters makes it compute in floats.
 */
function reverseTiles(
  { tileRows, tileCols, tileWords }: TrellisTiles,
  words: Uint32Array,
  to: Uint32Array,
  rowWords: number,
): void {
  const [tiles, most] = [tileCols | 0, tileWords | 0]
  let next = 0
  for (let top = 0; top < tileRows; top += TILE_LANES) {
    const lanes = Math.min(TILE_LANES, tileRows - top)
    let last = top * rowWords + most - 1
    for (let tile = 0; tile < tiles; tile++, last += most) {
      for (let at = last; at > last - most; at--) {
        to[at] = words[next]
        if (lanes > 1) to[at + rowWords] = words[next + 1]
        if (lanes > 2) to[at + 2 * rowWords] = words[next + 2]
        if (lanes > 3) to[at + 3 * rowWords] = words[next + 3]
        next += lanes
      }
    }
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
