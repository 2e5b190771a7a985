import { trellisBudget } from '@reallm/tensor-io/layouts/trellis-segments'
import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'

/** Mean squared error of a trellis code (L = 12) on unit normals, from 1 bit per weight on in quarters of a bit. */
const DISTORTION = [
  0.271, 0.1945, 0.1397, 0.1005, 0.0703, 0.0504, 0.036, 0.026, 0.01825, 0.0131, 0.00944, 0.0068, 0.00477,
]
/** Factor on the error for each further quarter of a bit. */
const FALL = 0.715

/** Mean squared error of a trellis code (L = 12) on unit normals at `quarters` quarters of a bit per weight. */
export const trellisDistortion = (quarters: number): number =>
  DISTORTION[quarters - 4] ?? DISTORTION.at(-1)! * FALL ** (quarters - 4 - (DISTORTION.length - 1))

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
  const { tiles, quarters } = trellisBudget(cols, bits)
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
    rates[t] < 4 * most ? costs[t] * (trellisDistortion(rates[t]) - trellisDistortion(rates[t] + 1)) : -1
  const gains = costs.map((_, t) => gainOf(t))
  for (let left = quarters - 4 * tiles; left > 0; left--) {
    let best = 0
    for (let t = 1; t < tiles; t++) if (gains[t] >= gains[best]) best = t
    rates[best]++
    gains[best] = gainOf(best)
  }
  return rates
}
