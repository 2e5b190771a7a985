import { ReallmError } from '../../core/errors.ts'

/**
 * How the codes of a trellis are packed: a contract between codecs and kernels.
 *
 * - A matrix is cut into tiles of 16 × 16 weights; rows and columns are padded to multiples of 16.
 * - A tile, read row by row, is one sequence of 256 weights. Weight `t` appends `k` bits to a cyclic stream of
 *   `256·k` bits, and its state is the last `L` bits up to there: `state[t] = (state[t−1] << k | bits[t]) mod 2^L`,
 *   with `state[−1] = state[255]` (tail-biting). So a tile takes `256·k` bits, whatever `L`.
 * - `k` may be a multiple of ¼: weight `t` ends at bit `⌊(t+1)·k⌋`, so with k = 2.25 every fourth weight appends 3 bits.
 * - Bit `i` of the stream is bit `31 − (i mod 32)` of 32-bit word `i div 32`; a tile has `8·k` words.
 * - Tiles are grouped by four below each other (64 rows, one column of tiles); a group at the lower edge has 1–3.
 *   Order of groups: top to bottom, then left to right within each band of 64 rows, so that rows split over
 *   threads are contiguous. Within a group word 0 of all its tiles comes first, then word 1, …: SIMD lanes hold the
 *   same position of four tiles, shifts are uniform and the activation is the same in all lanes.
 * - Words are little-endian in the stored bytes.
 */
export const TILE = 16
/** Weights of a tile. */
export const TILE_WEIGHTS = TILE * TILE
/** Tiles side by side in SIMD lanes. */
export const TILE_LANES = 4

/** Tile counts of a matrix and the words its codes take. */
export interface TrellisTiles {
  readonly rows: number
  readonly cols: number
  /** Bits per weight, 1 to 6 in quarters. */
  readonly bits: number
  /** Tiles below each other: ⌈rows / 16⌉. */
  readonly tileRows: number
  /** Tiles side by side: ⌈cols / 16⌉. */
  readonly tileCols: number
  /** 32-bit words of a tile: 8·bits. */
  readonly tileWords: number
  /** 32-bit words of the matrix. */
  readonly words: number
  /** Bytes of the matrix. */
  readonly bytes: number
}

/** Bits that weight `t` of a sequence appends at a rate of `bits`. */
export const stepBits = (t: number, bits: number): number => Math.floor((t + 1) * bits) - Math.floor(t * bits)

/** Most bits per weight of a trellis. */
export const MAX_TRELLIS_BITS = 6

/** Throws `bad-option` unless a rate is 1 to 6 in quarters. */
export function checkTrellisBits(bits: number): void {
  if (!Number.isInteger(4 * bits) || bits < 1 || bits > MAX_TRELLIS_BITS) {
    throw new ReallmError('bad-option', `a trellis takes 1 to 6 bits per weight in quarters, got ${bits}`)
  }
}

/**
 * The tiles of a `[rows, cols]` matrix at `bits` bits per weight.
 *
 * @example
 * trellisTiles(576, 576, 2).bytes // 82944 = 576·576·2 / 8
 */
export function trellisTiles(rows: number, cols: number, bits: number): TrellisTiles {
  checkTrellisBits(bits)
  const tileRows = Math.ceil(rows / TILE)
  const tileCols = Math.ceil(cols / TILE)
  const tileWords = 8 * bits
  const words = tileRows * tileCols * tileWords
  return { rows, cols, bits, tileRows, tileCols, tileWords, words, bytes: 4 * words }
}

/** Where tile `(tileRow, tileCol)` lies: its word `w` is at `first + w·stride`. */
export function tileAt(tiles: TrellisTiles, tileRow: number, tileCol: number) {
  const lane = tileRow % TILE_LANES
  const top = tileRow - lane
  const stride = Math.min(TILE_LANES, tiles.tileRows - top)
  return { first: (top * tiles.tileCols + tileCol * stride) * tiles.tileWords + lane, stride }
}

/**
 * Writes the states of one tile (256, tail-biting) to its place in `words`.
 * Only the bits that each weight appends are stored; the others follow from the tile's other states.
 */
export function packTile(
  words: Uint32Array,
  tiles: TrellisTiles,
  tileRow: number,
  tileCol: number,
  states: ArrayLike<number>,
): void {
  const { first, stride } = tileAt(tiles, tileRow, tileCol)
  let word = 0
  let filled = 0
  let at = first
  for (let t = 0; t < TILE_WEIGHTS; t++) {
    const bits = stepBits(t, tiles.bits)
    const code = states[t] & ((1 << bits) - 1)
    const room = 32 - filled
    if (bits < room) {
      word = (word << bits) | code
      filled += bits
    } else {
      const rest = bits - room
      words[at] = room === 32 ? code : (word << room) | (code >>> rest)
      at += stride
      word = code & ((1 << rest) - 1)
      filled = rest
    }
  }
}

/** For each state of a tile: the word where it begins, the word where it ends, and how many bits of the first word come before it. */
interface StatePlaces {
  readonly before: Uint8Array
  readonly last: Uint8Array
  readonly shift: Uint8Array
}
const placesOf = new Map<number, StatePlaces>()

function statePlaces(bits: number): StatePlaces {
  const known = placesOf.get(bits)
  if (known) return known
  const [before, last, shift] = Array.from({ length: 3 }, () => new Uint8Array(TILE_WEIGHTS))
  const tileWords = 8 * bits
  for (let t = 0; t < TILE_WEIGHTS; t++) {
    const end = Math.floor((t + 1) * bits)
    shift[t] = end & 31
    before[t] = ((end >>> 5) + tileWords - 1) % tileWords
    // A state that ends with a word has nothing of the next one: the shifts of the two halves cancel out.
    last[t] = shift[t] === 0 ? before[t] : end >>> 5
  }
  const places = { before, last, shift }
  placesOf.set(bits, places)
  return places
}

/** The 256 states (`stateBits` bits each) of the tile at `(tileRow, tileCol)`. */
export function unpackTile(
  words: Uint32Array,
  tiles: TrellisTiles,
  tileRow: number,
  tileCol: number,
  stateBits: number,
  states: Uint16Array = new Uint16Array(TILE_WEIGHTS),
): Uint16Array {
  const { first, stride } = tileAt(tiles, tileRow, tileCol)
  const { before, last, shift } = statePlaces(tiles.bits)
  const mask = 2 ** stateBits - 1
  for (let t = 0; t < TILE_WEIGHTS; t++) {
    const high = words[first + before[t] * stride] << shift[t]
    states[t] = (high | (words[first + last[t] * stride] >>> (32 - shift[t]))) & mask
  }
  return states
}
