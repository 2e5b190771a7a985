import { trellisDistortion } from '@reallm/kernels'
import type { MatrixShape } from '@reallm/tensor-io'
import { trellisWords } from '@reallm/tensor-io/layouts'

/** Rates of bands are multiples of this. */
const BAND_STEP = 1 / 16

/**
 * Splits a rate over bands of rows so that `Σ weight · distortion(rate)` is least, in no more words than all bands take at that rate.
 *
 * @param rows of every band except the last
 * @param bits mean bits per weight, 1 to 6
 * @param most largest rate of a band
 * @param weights what errors in the rows of each band cost at a distortion of 1
 * @returns bits per weight of each band
 * @example
 * bandBits([256, 64], 128, 3, 6, [9, 1]) // [3.75, 2.25]
 */
export function bandBits(
  [rows, cols]: MatrixShape,
  each: number,
  bits: number,
  most: number,
  weights: readonly number[],
): number[] {
  const rowsOf = (band: number) => Math.min(each, rows - band * each)
  const wordsOf = (band: number, bits: number) => trellisWords(rowsOf(band), cols, bits)
  const found = weights.map(() => 1)
  let left = found.reduce((sum, least, b) => sum + wordsOf(b, bits) - wordsOf(b, least), 0)
  const stepOf = (band: number) => {
    const [from, to] = [found[band], found[band] + BAND_STEP]
    if (to > most) return { to, words: 0, gain: -1 }
    const words = wordsOf(band, to) - wordsOf(band, from)
    return { to, words, gain: (weights[band] * (distortionAt(from) - distortionAt(to))) / Math.max(words, 1) }
  }
  const steps = weights.map((_, b) => stepOf(b))
  for (;;) {
    let best = -1
    for (const [b, { words, gain }] of steps.entries())
      if (words <= left && gain >= 0 && (best < 0 || gain > steps[best].gain)) best = b
    if (best < 0) return found
    found[best] = steps[best].to
    left -= steps[best].words
    steps[best] = stepOf(best)
  }
}

/** Mean squared error between the rates of `trellisDistortion`, on a logarithmic scale. */
function distortionAt(bits: number): number {
  const quarters = Math.floor(4 * bits)
  const part = 4 * bits - quarters
  return trellisDistortion(quarters) ** (1 - part) * trellisDistortion(quarters + 1) ** part
}
