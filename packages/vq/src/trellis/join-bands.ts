import { checkParts, type EncodedMatrix, tensor } from '@reallm/tensor-io'
import { readTrellis, trellisLayout } from '@reallm/tensor-io/layouts'
import { joinRows } from '../shared/join-rows.ts'

/** Bands of 64 rows or a multiple, but for the last, put together; each has a scale per row, and the same rates. */
export function joinTrellis(bands: readonly EncodedMatrix[]): EncodedMatrix {
  const joined = joinRows(bands, ['scales'])
  const segments = bands.map(band => readTrellis(checkParts(trellisLayout, band)))
  const codes = new Uint32Array(bands.reduce((sum, { parts }) => sum + parts.codes.data.length, 0))
  let at = 0
  for (const s of segments[0].keys()) {
    for (const { words } of segments.map(of => of[s])) {
      codes.set(words, at)
      at += words.length
    }
  }
  return { ...joined, parts: { ...joined.parts, codes: tensor('U32', [codes.length], codes) } }
}
