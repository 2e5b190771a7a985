import type { MatrixShape, Tensor } from '../../core/tensor.ts'
import type { EncodedMatrix, StorageCost } from '../encoded-matrix.ts'
import type { CodedRows } from './coded-rows.ts'
import { type GroupSize, groupCols } from './groups.ts'
import { packedRows, packedShape, unpackRow } from './packed-rows.ts'
import { readScales, type ScaleFormat, scaleParts } from './scales.ts'

/** What layouts with one code per weight share: a scale (and a zero point) per group of a row. */
export interface ScalarParams {
  /** Of a code. */
  readonly bits: number
  readonly group: GroupSize
  readonly scales: ScaleFormat
}

/** Parts `codes`, `scales` (with `scaleBlocks`) and, where groups have zero points, `zeros`, packed as codes are. */
export function scalarParts(
  shape: MatrixShape,
  { bits, group, scales }: ScalarParams,
  zeroPoint = false,
): StorageCost {
  const [rows, cols] = shape
  const perRow = cols / groupCols(shape, group)
  const zeros = { dtype: 'U8', shape: packedShape(rows, perRow, bits) } as const
  return {
    codes: { dtype: 'U8', shape: packedShape(rows, cols, bits) },
    ...scaleParts(scales, rows, perRow),
    ...(zeroPoint ? { zeros } : {}),
  }
}

/** Rows `from` to `to` of such a code; `levels` are the values of the codes, and of the zero points that are taken off. */
export function readScalar(
  e: EncodedMatrix<ScalarParams>,
  levels: Float32Array,
  from: number,
  to: number,
): CodedRows {
  const { params, parts, shape } = e
  const group = groupCols(shape, params.group)
  const perRow = shape[1] / group
  return {
    rows: to - from,
    cols: shape[1],
    codes: packedRows(parts.codes, from, to),
    bits: params.bits,
    dim: 1,
    table: levels,
    scales: readScales(e, from * perRow, to * perRow),
    shifts: parts.zeros && zeroLevels(packedRows(parts.zeros, from, to), perRow, params.bits, levels),
    group,
  }
}

function zeroLevels(zeros: Tensor, perRow: number, bits: number, levels: Float32Array): Float32Array {
  const rows = zeros.shape[0]
  const out = new Float32Array(rows * perRow)
  for (let r = 0; r < rows; r++)
    out.set(
      Array.from(unpackRow(zeros, r, perRow, bits), zero => levels[zero]),
      r * perRow,
    )
  return out
}
