import { ReallmError } from '../../core/errors.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import type { Fields, FullParams } from '../field.ts'
import { parseParams, type Stored, type StoredLayout } from '../layout.ts'
import { type FullTrellisParams, refuseRates, trellisLayout } from './trellis.ts'
import { trellisWords } from './trellis-segments.ts'
import { MAX_TRELLIS_BITS, TILE, TILE_LANES } from './trellis-tiles.ts'

/** Rows of a band are a multiple of this. */
export const BAND_ROWS = TILE * TILE_LANES

const params = {
  /** Mean bits per weight of each band, 1–6 and at most `stateBits` − 3. */
  bits: { list: { each: { number: { least: 1, most: MAX_TRELLIS_BITS } }, most: 4096 } },
  /** Rows of every band except the last, a multiple of 64. */
  rows: { whole: [BAND_ROWS] },
  /** L: bits of a state, as in `trellis`. */
  stateBits: { whole: [8, 16], default: 10 },
} as const satisfies Fields

/** Parameters of a matrix in bands of rows, defaults filled in. */
export type FullTrellisBandsParams = FullParams<typeof params>

/**
 * Bands of rows, each a trellis code of its own rate with a scale for each row: rows of an embedding that are seldom used take fewer bits.
 *
 * Parts: `rates` U8, `codes` U32 and `scales` F16 `[rows, 1]` of the bands' own matrices (`trellisLayout`), one after the other.
 */
export const trellisBandsLayout: StoredLayout<typeof params> = {
  codec: 'trellis-bands',
  params,
  parts(shape, params) {
    refuseRates(Math.max(...params.bits), params.stateBits)
    const bands = bandsOf(shape, params)
    const words = bands.reduce((sum, { rows, bits }) => sum + trellisWords(rows, shape[1], bits), 0)
    return {
      rates: { dtype: 'U8', shape: [bands.length * Math.ceil(shape[1] / TILE)] },
      codes: { dtype: 'U32', shape: [words] },
      scales: { dtype: 'F16', shape: [shape[0], 1] },
    }
  },
}

/** The bands of a matrix: where each begins, how many rows it has, its bits per weight. */
function bandsOf([rows]: MatrixShape, { rows: each, bits }: Pick<FullTrellisBandsParams, 'rows' | 'bits'>) {
  const count = Math.ceil(rows / each)
  if (each % BAND_ROWS !== 0 || bits.length !== count) {
    throw new ReallmError(
      'bad-option',
      `trellis-bands: ${rows} rows in bands of ${each} have ${bits.length} rates`,
      { hint: `give rows as a multiple of ${BAND_ROWS}, and a rate for each band` },
    )
  }
  return bits.map((bits, b) => ({ from: b * each, rows: Math.min(each, rows - b * each), bits }))
}

/** A band of a stored matrix. */
export interface TrellisBand {
  /** Its first row. */
  readonly from: number
  /** Its rows, as views of the whole's parts. */
  readonly matrix: Stored<typeof trellisLayout>
}

/** The bands of a stored matrix; their rates are checked where they are read (`readTrellis`). */
export function readTrellisBands({ shape, params, parts }: Stored<typeof trellisBandsLayout>): TrellisBand[] {
  const { stateBits } = params
  const tiles = Math.ceil(shape[1] / TILE)
  const [rates, codes, scales] = [
    parts.rates.data as Uint8Array<ArrayBuffer>,
    parts.codes.data as Uint32Array<ArrayBuffer>,
    parts.scales.data as Uint16Array<ArrayBuffer>,
  ]
  let firstWord = 0
  return bandsOf(shape, params).map(({ from, rows, bits }, b) => {
    const words = trellisWords(rows, shape[1], bits)
    const own: FullTrellisParams = parseParams(trellisLayout, { bits, stateBits, scale: 'row' })
    const matrix: Stored<typeof trellisLayout> = {
      codec: trellisLayout.codec,
      params: own,
      shape: [rows, shape[1]],
      parts: {
        rates: { dtype: 'U8', shape: [tiles], data: rates.subarray(b * tiles, (b + 1) * tiles) },
        codes: { dtype: 'U32', shape: [words], data: codes.subarray(firstWord, firstWord + words) },
        scales: { dtype: 'F16', shape: [rows, 1], data: scales.subarray(from, from + rows) },
      },
    }
    firstWord += words
    return { from, matrix }
  })
}
