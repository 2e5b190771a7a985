import { trellisRates, viterbi } from '../../../packages/kernels/src/index.ts'
import {
  type ColumnCodec,
  type EncodedMatrix,
  type Matrix,
  tensor,
  zeroMatrix,
} from '../../../packages/tensor-io/src/index.ts'
import { type TrellisParams, trellis } from '../../../packages/vq/src/index.ts'
import { widestColumn } from '../../../packages/vq/src/trellis/widest-column.ts'

/** How neighbouring weights are rounded. */
export interface Rounding {
  /** Columns rounded together. */
  readonly cols: number
  /** Whether columns share the rate by the cost of an error in them, as the default recipe does. */
  readonly byCost: boolean
  /** Whether the matrix's scale is that of the weights, not of the widest column under feedback. */
  readonly narrow?: boolean
  /** What `block` `[rows, cols]`, of unit variance over the matrix, decodes to at `bits` per weight; `loss`: cost of its errors. */
  round(block: Float32Array, bits: number, loss: number): Float32Array
}

/** The states' values of a trellis code at a rate. */
export type Values = (bits: number) => Float32Array

export const trellisRounding = (values: Values, byCost: boolean): Rounding => ({
  cols: 16,
  byCost,
  round(block, bits) {
    const lut = values(bits)
    return Float32Array.from(viterbi(block, { bits, lut }), state => lut[state])
  },
})

/** The same with a scale for each tile column, the deviation of what error feedback hands it: 16 bits in 16 columns. */
export const scaledByColumn = ({ round, ...rest }: Rounding): Rounding => ({
  ...rest,
  round(block, bits, loss) {
    const scale = Math.sqrt(block.reduce((sum, v) => sum + v * v, 0) / block.length) || 1
    return round(
      block.map(v => v / scale),
      bits,
      loss,
    ).map(v => scale * v)
  },
})

/** Rounds as `rounding` says under error feedback; stores what it decodes to, uncoded. Rows are a multiple of 16. */
export function roundedWith({ cols, byCost, narrow, round }: Rounding): ColumnCodec<TrellisParams> {
  return {
    ...trellis,
    async columns(w, { bits }, ctx) {
      const losses = ctx.columnLoss!(cols)
      const rates = trellisRates(w.cols, bits, 6, byCost ? losses : undefined)
      const deviation = Math.sqrt(w.data.reduce((sum, v) => sum + v * v, 0) / w.data.length)
      const scale = narrow ? deviation : deviation * widestColumn(rates, w.cols, ctx)
      const decoded = zeroMatrix(w.rows, w.cols)
      return {
        tileCols: cols,
        tileRows: 16,
        groupCols: cols,
        quantise(block, row, col) {
          const rate = rates[Math.floor(col / 16)] / 4
          const found = round(
            block.data.map(v => v / scale),
            rate,
            losses[col],
          )
          const out = { ...block, data: found.map(v => scale * v) }
          for (let r = 0; r < block.rows; r++)
            decoded.data.set(out.data.subarray(r * cols, (r + 1) * cols), (row + r) * w.cols + col)
          return out
        },
        finish: () => storedAs(decoded),
      }
    },
    decode: ({ shape: [rows, cols], parts }) => ({
      rows,
      cols,
      data: parts.decoded.data as Float32Array<ArrayBuffer>,
    }),
  }
}

const storedAs = ({ rows, cols, data }: Matrix): EncodedMatrix => ({
  codec: 'trellis',
  params: {},
  shape: [rows, cols],
  parts: { decoded: tensor('F32', [rows, cols], data as Float32Array<ArrayBuffer>) },
})
