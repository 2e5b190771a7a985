import { type EncodedMatrix, type GivenOf, parseParams, tensor } from '@reallm/tensor-io'
import { decodeCoded, gridLayout, gridLevels, groupCols, packRows, readGrid } from '@reallm/tensor-io/layouts'
import { columnCodec } from '../shared/column-codec.ts'
import { scalarBands, scalarEncoder } from '../shared/scalar.ts'

/** Parameters of the codec `grid`. */
export type GridParams = GivenOf<typeof gridLayout>

/**
 * Uniform integer quantisation, the codec `grid`: `Ŵ = scale · (code − zero)`, a scale (and a zero point) per group of a row.
 * Symmetric: `Ŵ = scale · (code − (2^bits − 1) / 2)`.
 *
 * @example
 * const stored = await grid.encode(w, { bits: 4, group: 64 }, { seed: 1 })
 * const approx = grid.decode(stored)
 */
export const grid = columnCodec({
  layout: gridLayout,
  async columns(w, params, ctx) {
    const options = {
      ...params,
      levels: gridLevels(params),
      group: groupCols([w.rows, w.cols], params.group),
      zeroPoint: !params.symmetric,
    }
    return scalarEncoder({ codec: 'grid', params }, w, options, ctx)
  },
  decodeRows: (e, from, to) => decodeCoded(readGrid(e, from, to)),
  bands: scalarBands,
})

/**
 * Signed integers of `bits` with a step for each row, rounded elsewhere (by quantisation-aware training), stored as `grid`
 * stores them. Decodes to exactly `diag(steps) · codes`.
 */
export function storeIntegers(
  { rows, cols, codes, steps }: { rows: number; cols: number; codes: Int8Array; steps: Float32Array },
  bits: number,
): EncodedMatrix<GridParams> {
  const zero = 2 ** (bits - 1)
  return {
    codec: 'grid',
    params: parseParams(gridLayout, integerParams(bits)),
    shape: [rows, cols],
    parts: {
      codes: packRows(
        Uint8Array.from(codes, code => code + zero),
        rows,
        bits,
      ),
      scales: tensor('F32', [rows, 1], steps.slice()),
      zeros: packRows(new Uint8Array(rows).fill(zero), rows, bits),
    },
  }
}

/** Parameters of `grid` that `storeIntegers` stores with. */
export const integerParams = (bits: number) =>
  ({ bits, group: 'row', symmetric: false, scales: 'f32' }) as const satisfies GridParams
