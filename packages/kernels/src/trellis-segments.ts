import { ReallmError } from '@reallm/tensor-io'
import { TILE } from './trellis-layout.ts'

/** Columns of a matrix that are coded at the same rate. */
export interface TrellisSegment {
  /** Bits per weight, 1 to 4 in quarters. */
  readonly bits: number
  /** First column, a multiple of 16. */
  readonly from: number
  /** Column after the last. */
  readonly to: number
}

/**
 * How a rate is mixed from quarters of a bit, which a trellis can code: a quarter is one segment. For other rates the
 * first tile columns take the quarter below and the others the one above, as near to `bits` as tile columns allow.
 * The later columns get more because feedback rounding cannot repair them.
 *
 * @param bits bits per weight, 1 to 4
 * @example
 * trellisSegments(576, 2.25) // [{ bits: 2.25, from: 0, to: 576 }]
 * trellisSegments(576, 2.375) // [{ bits: 2.25, from: 0, to: 288 }, { bits: 2.5, from: 288, to: 576 }]
 */
export function trellisSegments(cols: number, bits: number): TrellisSegment[] {
  if (!(bits >= 1 && bits <= 4)) {
    throw new ReallmError('bad-option', `a trellis takes 1 to 4 bits per weight, got ${bits}`)
  }
  const low = Math.floor(4 * bits) / 4
  const tiles = Math.ceil(cols / TILE)
  const split = Math.min(cols, TILE * Math.round(tiles * (1 - 4 * (bits - low))))
  return [
    { bits: low, from: 0, to: split },
    { bits: low + 0.25, from: split, to: cols },
  ].filter(({ from, to }) => to > from)
}
