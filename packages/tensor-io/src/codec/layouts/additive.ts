import { ReallmError } from '../../core/errors.ts'
import { toFloat32 } from '../../core/float.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { packedShape, unpackRow } from './packed-rows.ts'
import { readScales, scaleParts } from './scales.ts'

/** Most codewords in all; the products between them are kept in memory, 64 MB at this number. */
const MOST_CODEWORDS = 4096

const params = {
  /** M: codewords in a sum. */
  codebooks: { whole: [1, 8], default: 2 },
  /** B: bits of a codeword's index. M·B / dim bits per weight. */
  codebookBits: { whole: [2, 12], default: 8 },
  /** Neighbouring weights of a row that share M codes. */
  dim: { of: [4, 8, 16], default: 8 },
  /** Candidates that the beam search keeps. */
  beam: { whole: [1, 64], default: 8 },
  /** Rounds of new codes and least-squares codebooks. */
  rounds: { whole: [0, 200], default: 8 },
  /** Rounds of refinement under H, if `encode` has one. */
  refine: { whole: [0, 200], default: 4 },
} as const satisfies Fields

/**
 * Additive codebooks: `dim` neighbouring weights of a row are the row's scale times a sum of M codewords, one from each
 * codebook.
 *
 * Parts: `codes` U8 `[rows, ⌈⌈cols / dim⌉·M·B / 8⌉]`, `codebooks` F16 `[M, 2^B, dim]`, `scales` F16 `[rows, 1]`.
 */
export const additiveLayout: StoredLayout<typeof params> = {
  codec: 'additive',
  params,
  parts([rows, cols], { codebooks, codebookBits, dim }) {
    if (codebooks * 2 ** codebookBits > MOST_CODEWORDS) {
      throw new ReallmError(
        'bad-option',
        `additive: codebooks·2^codebookBits must be at most ${MOST_CODEWORDS}`,
      )
    }
    return {
      codes: { dtype: 'U8', shape: packedShape(rows, Math.ceil(cols / dim) * codebooks, codebookBits) },
      codebooks: { dtype: 'F16', shape: [codebooks, 2 ** codebookBits, dim] },
      ...scaleParts('f16', rows, 1),
    }
  },
}

/** Rows `from` to `to` (exclusive), unpacked: M codes a vector, counted within their codebook; codewords `[M · 2^B, dim]`. */
export function readAdditive(e: Stored<typeof additiveLayout>, from = 0, to = e.shape[0]) {
  const { dim, codebooks: count, codebookBits } = e.params
  const perRow = Math.ceil(e.shape[1] / dim) * count
  const size = 2 ** codebookBits
  const codes = new Uint16Array((to - from) * perRow)
  for (let r = from; r < to; r++) {
    codes.set(unpackRow(e.parts.codes, r, perRow, codebookBits), (r - from) * perRow)
  }
  const vectors = { rows: count * size, cols: dim, data: toFloat32(e.parts.codebooks) }
  return { codes, books: { vectors, count, size }, scales: readScales(e, from, to) }
}
