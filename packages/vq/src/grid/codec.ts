import { type EncodedMatrix, type MatrixShape, tensor } from '@reallm/tensor-io'
import type * as z from 'zod'
import { columnCodec } from '../shared/column-codec.ts'
import { groupCols } from '../shared/groups.ts'
import { packRows } from '../shared/pack-rows.ts'
import { decodeScalar, type ScalarOptions, scalarCost, scalarEncoder } from '../shared/scalar.ts'
import { type GridParams, gridParams } from './params.ts'

type Full = z.output<typeof gridParams>

/**
 * Uniform scalar grid: `Ŵ = scale · (code − zero)`, a scale (and a zero point) per group of a row.
 * Symmetric: `Ŵ = scale · (code − (2^bits − 1) / 2)`.
 *
 * Parts: `codes` U8 `[rows, ⌈cols·bits / 8⌉]` (each row packed, lowest bit first), `scales` `[rows, cols / group]`
 * (see {@link scaleFormat}), and where not symmetric `zeros`, packed as codes are.
 *
 * @example
 * const stored = await grid.encode(w, { bits: 4, group: 64 }, { seed: 1 })
 * const approx = grid.decode(stored)
 */
export const grid = columnCodec<GridParams, Full>({
  name: 'grid',
  params: gridParams,
  cost: (shape, params) => scalarCost(shape, optionsFor(shape, params)),
  async columns(w, params, { hessian }) {
    return scalarEncoder({ codec: 'grid', params }, w, optionsFor([w.rows, w.cols], params), hessian)
  },
  decodeRows: (e, from, to) => decodeScalar(e, optionsFor(e.shape, e.params), from, to),
})

/**
 * Signed integers of `bits` with a step for each row, rounded elsewhere (by quantisation-aware training), as `grid`
 * stores them: it decodes to exactly `diag(steps) · codes`.
 */
export function storeIntegers(
  { rows, cols, codes, steps }: { rows: number; cols: number; codes: Int8Array; steps: Float32Array },
  bits: number,
): EncodedMatrix<GridParams> {
  const zero = 2 ** (bits - 1)
  return {
    codec: 'grid',
    params: gridParams.parse(integerParams(bits)),
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

function optionsFor(shape: MatrixShape, params: Full): ScalarOptions {
  const count = 2 ** params.bits
  const middle = params.symmetric ? (count - 1) / 2 : 0
  return {
    bits: params.bits,
    levels: Float32Array.from({ length: count }, (_, i) => i - middle),
    group: groupCols(shape, params.group),
    scales: params.scales,
    clip: params.clip,
    zeroPoint: !params.symmetric,
  }
}
