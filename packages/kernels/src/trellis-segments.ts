import { ReallmError } from '@reallm/tensor-io'
import { MAX_TRELLIS_BITS, TILE, type TrellisLayout, trellisLayout } from './trellis-layout.ts'

/** Neighbouring columns of a matrix that are coded at the same rate. */
export interface TrellisSegment {
  /** Bits per weight, 1 to 6 in quarters. */
  readonly bits: number
  /** First column, a multiple of 16. */
  readonly from: number
  /** Column after the last. */
  readonly to: number
  /** Of these columns' codes. */
  readonly layout: TrellisLayout
  /** Where they begin in the matrix's words. */
  readonly firstWord: number
}

/** Mean squared error of a trellis code (L = 12) on unit normals, from 1 bit per weight on in quarters of a bit. */
const DISTORTION = [
  0.271, 0.1945, 0.1397, 0.1005, 0.0703, 0.0504, 0.036, 0.026, 0.01825, 0.0131, 0.00944, 0.0068, 0.00477,
]
/** Factor on the error for each further quarter of a bit. */
const FALL = 0.715

const distortion = (quarters: number): number =>
  DISTORTION[quarters - 4] ?? DISTORTION.at(-1)! * FALL ** (quarters - 4 - (DISTORTION.length - 1))

/** Tile columns of a matrix, and the sum of their rates in quarters of a bit. */
function budgetOf(cols: number, bits: number): { tiles: number; quarters: number } {
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
  return Math.ceil(rows / TILE) * 2 * budgetOf(cols, bits).quarters
}

/**
 * Splits a rate over tile columns so that `Σ loss · distortion(rate)` is least (reverse water-filling). Under error feedback
 * later columns make up for errors in the first ones, and none makes up for errors in the last, so bits are worth more
 * there. The resulting error is nearly proportional to the geometric mean of the losses; equal rates give the arithmetic mean.
 *
 * @param bits mean bits per weight, 1 to 6
 * @param most largest rate of a column
 * @param loss cost of an error in each column, `[cols]`; absent: all equal, and later columns get the remainder of a rate
 *   that is no multiple of a quarter
 * @returns four times the bits per weight of each tile column
 * @example
 * trellisRates(64, 2.125) // [8, 8, 9, 9]
 */
export function trellisRates(
  cols: number,
  bits: number,
  most: number,
  loss?: Float32Array,
): Uint8Array<ArrayBuffer> {
  const { tiles, quarters } = budgetOf(cols, bits)
  if (!loss) {
    const each = Math.floor(quarters / tiles)
    return new Uint8Array(tiles).fill(each).fill(each + 1, tiles * (each + 1) - quarters)
  }
  const rates = new Uint8Array(tiles).fill(4)
  const costs = Float64Array.from({ length: tiles }, (_, t) => {
    const of = loss.subarray(t * TILE, (t + 1) * TILE)
    return of.reduce((sum, v) => sum + v, 0) / of.length
  })
  const gainOf = (t: number) =>
    rates[t] < 4 * most ? costs[t] * (distortion(rates[t]) - distortion(rates[t] + 1)) : -1
  const gains = costs.map((_, t) => gainOf(t))
  for (let left = quarters - 4 * tiles; left > 0; left--) {
    let best = 0
    for (let t = 1; t < tiles; t++) if (gains[t] >= gains[best]) best = t
    rates[best]++
    gains[best] = gainOf(best)
  }
  return rates
}

/**
 * Runs of tile columns with one rate, in order; each is laid out by itself (`trellisLayout`), one after the other.
 *
 * @param rates of the tile columns, four times the bits per weight, as stored
 * @throws `bad-tensor` where they are no rates, or too few for the columns
 */
export function trellisSegments(rows: number, cols: number, rates: Uint8Array): TrellisSegment[] {
  const tiles = Math.ceil(cols / TILE)
  if (rates.length !== tiles || rates.some(rate => rate < 4 || rate > 4 * MAX_TRELLIS_BITS)) {
    throw new ReallmError('bad-tensor', `${cols} columns have ${tiles} rates of 4 to ${4 * MAX_TRELLIS_BITS}`)
  }
  const segments: TrellisSegment[] = []
  let firstWord = 0
  for (let t = 0; t < tiles; ) {
    let end = t + 1
    while (end < tiles && rates[end] === rates[t]) end++
    const [from, to, bits] = [t * TILE, Math.min(cols, end * TILE), rates[t] / 4]
    const layout = trellisLayout(rows, to - from, bits)
    segments.push({ bits, from, to, layout, firstWord })
    firstWord += layout.words
    t = end
  }
  return segments
}
