import { decodeBands, trellisBandMatrices } from '@reallm/kernels/decode/trellis-bands'
import {
  checkParts,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  tileOf,
  zeroMatrix,
} from '@reallm/tensor-io'
import { type FullTrellisBandsParams, TILE, trellisBandsLayout } from '@reallm/tensor-io/layouts'
import { columnCodec } from '../shared/column-codec.ts'
import { joinRows } from '../shared/join-rows.ts'
import { trellis } from './codec.ts'

/** Parameters of the codec `trellis-bands`. */
export type TrellisBandsParams = GivenOf<typeof trellisBandsLayout>

/**
 * The codec `trellis` with a rate for each band of rows. An embedding's rows are used as often as their tokens; `bandBits`
 * splits a rate over them.
 *
 * @example
 * const codec = rotated(withFeedback(trellisBands), { output: false })
 * const stored = await codec.encode(embedding, { inner: { bits: [4, 3, 2.5, 2], rows: 1024 } }, { hessian, seed: 1 })
 */
export const trellisBands = columnCodec({
  layout: trellisBandsLayout,
  async columns(w, { bits, rows, stateBits }, ctx) {
    const bands = await Promise.all(
      bits.map((bits, b) =>
        trellis.columns(
          rowsOf(w, b * rows, Math.min(w.rows, (b + 1) * rows)),
          { bits, stateBits, scale: 'row' },
          { ...ctx, isBand: true },
        ),
      ),
    )
    return {
      tileCols: TILE,
      tileRows: TILE,
      groupCols: TILE,
      quantise(block, row, col) {
        const out = zeroMatrix(block.rows, block.cols)
        for (let from = row; from < row + block.rows; ) {
          const band = Math.floor(from / rows)
          const to = Math.min(row + block.rows, (band + 1) * rows)
          const part = tileOf(block, from - row, 0, to - from, block.cols)
          out.data.set(bands[band].quantise(part, from - band * rows, col).data, (from - row) * block.cols)
          from = to
        }
        return out
      },
      finish: () =>
        stacked(
          bands.map(band => band.finish()),
          { bits, rows, stateBits },
        ),
    }
  },
  decodeRows(e, from, to) {
    const out = zeroMatrix(to - from, e.shape[1])
    decodeBands(trellisBandMatrices(e), from, to, out.data)
    return out
  },
  bands: {
    rows: ({ rows }) => rows,
    join(bands) {
      const params = bands.map(band => checkParts(trellisBandsLayout, band).params)
      return stacked(bands, { ...params[0], bits: params.flatMap(({ bits }) => bits) })
    },
  },
})

const stacked = (bands: readonly EncodedMatrix[], params: FullTrellisBandsParams): EncodedMatrix => ({
  ...joinRows(bands, ['rates', 'codes', 'scales']),
  codec: trellisBandsLayout.codec,
  params,
})

const rowsOf = ({ data, cols }: Matrix, from: number, to: number): Matrix => ({
  rows: to - from,
  cols,
  data: data.subarray(from * cols, to * cols),
})
