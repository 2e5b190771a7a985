import { TILE, TILE_LANES, trellisTiles } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { TrellisMatrix } from '../decode/trellis.ts'

/** Rows `from` to `to` (exclusive) of a stored matrix, a view; `from` is a multiple of 64, at which words begin anew. */
export function trellisRows(m: TrellisMatrix, from: number, to: number): TrellisMatrix {
  const [, cols] = m.shape
  const band = TILE * TILE_LANES
  const segments = m.segments.map(segment => {
    const { tileCols, tileWords } = segment.tiles
    const tiles = trellisTiles(to - from, segment.to - segment.from, segment.bits)
    const firstWord = (from / band) * TILE_LANES * tileCols * tileWords
    return { ...segment, tiles, words: segment.words.subarray(firstWord, firstWord + tiles.words) }
  })
  let firstWord = 0
  const placed = segments.map(segment => {
    const at = firstWord
    firstWord += segment.words.length
    return { ...segment, firstWord: at }
  })
  return {
    shape: [to - from, cols],
    stateBits: m.stateBits,
    segments: placed,
    scales: m.scales.length > 1 ? m.scales.subarray(from, to) : m.scales,
  }
}
