import { fitScales, LevelFinder } from '@reallm/kernels'
import type { ColumnEncoder, EncodeContext, EncodedMatrix, Matrix, RowBands } from '@reallm/tensor-io'
import { packRows, SCALE_BLOCK, type ScaleFormat } from '@reallm/tensor-io/layouts'
import { tileCounter } from './column-codec.ts'
import { joinRows } from './join-rows.ts'
import { createScales } from './scales.ts'

/** What scalar codecs share: one code per weight, a scale (and a zero point) per group of a row. */
export interface ScalarOptions {
  readonly bits: number
  /** Values of the codes, rising, before scaling. */
  readonly levels: Float32Array
  /** Columns that share a scale. */
  readonly group: number
  readonly scales: ScaleFormat
  /** `absmax`: the largest weight fits. `mse`: the scale with the least (weighted) squared error. */
  readonly clip: 'absmax' | 'mse'
  /** Each group also stores a code whose level is moved to 0: value = scale · (level[code] − level[zero]). */
  readonly zeroPoint: boolean
}

/** Rows have scales of their own; those of some rows may share a block. */
export const scalarBands: RowBands = {
  rows: () => SCALE_BLOCK,
  join: bands => joinRows(bands, ['codes', 'scales', 'scaleBlocks', 'zeros']),
}

/** Quantises column by column; scales are chosen at each group's start, or on `w` where nobody starts groups. */
export function scalarEncoder(
  header: Pick<EncodedMatrix, 'codec' | 'params'>,
  w: Matrix,
  o: ScalarOptions,
  { hessian, isBand }: EncodeContext,
): ColumnEncoder {
  const { rows, cols } = w
  const perRow = cols / o.group
  const codes = new Uint8Array(rows * cols)
  const importance = Float32Array.from({ length: cols }, (_, c) => (hessian ? hessian.data[c * cols + c] : 1))
  const finder = new LevelFinder(o.levels)
  const tiles = tileCounter(header.codec, [rows, cols])
  const fit = (values: Float32Array, weights: Float32Array) =>
    fitScales(asGroups(values, o.group), asGroups(weights, o.group), o.levels, o)
  const initial = fit(w.data, importance)
  const zeros = initial.zeros
  const scales = createScales(o.scales, initial.scales, rows, { isBand })

  function startGroup(residual: Matrix, col: number): void {
    const found = fit(residual.data, importance.subarray(col, col + o.group))
    for (let r = 0; r < rows; r++) {
      const at = r * perRow + col / o.group
      scales.set(at, found.scales[r])
      zeros[at] = found.zeros[r]
    }
  }

  return {
    tileCols: 1,
    tileRows: 1,
    groupCols: o.group,
    startGroup,
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const out = new Float32Array(block.data.length)
      for (let r = 0; r < block.rows; r++) {
        const at = (row + r) * perRow + Math.floor(col / o.group)
        const scale = scales.values[at]
        const shift = o.zeroPoint ? o.levels[zeros[at]] : 0
        const code = finder.find((scale > 0 ? block.data[r] / scale : 0) + shift)
        codes[(row + r) * cols + col] = code
        out[r] = scale * (o.levels[code] - shift)
      }
      return { rows: block.rows, cols: 1, data: out }
    },
    finish() {
      tiles.finish()
      return {
        ...header,
        shape: [rows, cols],
        parts: {
          codes: packRows(codes, rows, o.bits),
          ...scales.parts(),
          ...(o.zeroPoint && { zeros: packRows(zeros, rows, o.bits) }),
        },
      }
    },
  }
}

const asGroups = (data: Float32Array, size: number): Matrix => ({
  rows: data.length / size,
  cols: size,
  data,
})
