import { ReallmError } from '../../core/errors.ts'
import { MAX_TRELLIS_BITS, TILE, type TrellisTiles, trellisTiles } from './trellis-tiles.ts'

/** Neighbouring columns of a matrix that are coded at the same rate. */
export interface TrellisSegment {
  /** Bits per weight, 1 to 6 in quarters. */
  readonly bits: number
  /** First column, a multiple of 16. */
  readonly from: number
  /** Column after the last. */
  readonly to: number
  /** Of these columns' codes. */
  readonly tiles: TrellisTiles
  /** Where they begin in the matrix's words. */
  readonly firstWord: number
}

/** Tile columns of a matrix, and the sum of their rates in quarters of a bit; throws `bad-option` for other rates. */
export function trellisBudget(cols: number, bits: number): { tiles: number; quarters: number } {
  if (!(bits >= 1 && bits <= MAX_TRELLIS_BITS)) {
    throw new ReallmError(
      'bad-option',
      `a trellis takes 1 to ${MAX_TRELLIS_BITS} bits per weight, got ${bits}`,
    )
  }
  const tiles = Math.ceil(cols / TILE)
  return { tiles, quarters: Math.round(4 * bits * tiles) }
}

/** 32-bit words of a `[rows, cols]` matrix at `bits` bits per weight on average, however its columns share them. */
export function trellisWords(rows: number, cols: number, bits: number): number {
  return Math.ceil(rows / TILE) * 2 * trellisBudget(cols, bits).quarters
}

/** Bits per weight of columns that share a rate evenly: one rate, or the two quarters next to it, the lower one first. */
export function evenRates(cols: number, bits: number): number[] {
  const { tiles, quarters } = trellisBudget(cols, bits)
  const each = Math.floor(quarters / tiles)
  return quarters % tiles === 0 ? [each / 4] : [each / 4, (each + 1) / 4]
}

/**
 * Runs of tile columns with one rate, in order; each is packed by itself (`trellisTiles`), one after the other.
 *
 * @param rates of the tile columns, four times the bits per weight, as stored
 * @throws `bad-tensor` where they are no rates, or too few for the columns
 */
export function trellisSegments(rows: number, cols: number, rates: Uint8Array): TrellisSegment[] {
  const columns = Math.ceil(cols / TILE)
  if (rates.length !== columns || rates.some(rate => rate < 4 || rate > 4 * MAX_TRELLIS_BITS)) {
    throw new ReallmError(
      'bad-tensor',
      `${cols} columns have ${columns} rates of 4 to ${4 * MAX_TRELLIS_BITS}`,
    )
  }
  const segments: TrellisSegment[] = []
  let firstWord = 0
  for (let t = 0; t < columns; ) {
    let end = t + 1
    while (end < columns && rates[end] === rates[t]) end++
    const [from, to, bits] = [t * TILE, Math.min(cols, end * TILE), rates[t] / 4]
    const tiles = trellisTiles(rows, to - from, bits)
    segments.push({ bits, from, to, tiles, firstWord })
    firstWord += tiles.words
    t = end
  }
  return segments
}
