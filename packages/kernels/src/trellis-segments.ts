import { ReallmError } from '@reallm/tensor-io'
import { TILE } from './trellis-layout.ts'

/** Columns of a matrix that are coded with the same whole number of bits. */
export interface TrellisSegment {
  /** Whole bits per weight, 1 to 4. */
  readonly bits: number
  /** First column, a multiple of 16. */
  readonly from: number
  /** Column after the last. */
  readonly to: number
}

/**
 * How a fractional rate is mixed from whole ones: the first tile columns take ⌊bits⌋, the others one bit more, as
 * near to `bits` as tile columns allow. The later columns get more because feedback rounding cannot repair them.
 * A whole rate is one segment. Each segment is stored as a matrix of its own, laid out as `trellisLayout` says.
 *
 * @param bits bits per weight, 1 to 4
 * @example
 * trellisSegments(576, 2.25) // [{ bits: 2, from: 0, to: 432 }, { bits: 3, from: 432, to: 576 }]
 */
export function trellisSegments(cols: number, bits: number): TrellisSegment[] {
  if (!(bits >= 1 && bits <= 4)) {
    throw new ReallmError('bad-option', `a trellis takes 1 to 4 bits per weight, got ${bits}`)
  }
  const low = Math.floor(bits)
  const tiles = Math.ceil(cols / TILE)
  const split = Math.min(cols, TILE * Math.round(tiles * (low + 1 - bits)))
  return [
    { bits: low, from: 0, to: split },
    { bits: low + 1, from: split, to: cols },
  ].filter(({ from, to }) => to > from)
}
