import { ReallmError } from '../../core/errors.ts'
import { toFloat32 } from '../../core/float.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import type { CodedRows } from './coded-rows.ts'
import { checkOrder, columnBits, ORDER_ROWS } from './column-order.ts'
import { groupCols, groupSize } from './groups.ts'
import { packedRows, packedShape, unpackRow } from './packed-rows.ts'
import { readScales, scaleFormat, scaleParts } from './scales.ts'

const params = {
  /** Bits per weight of the codes: bits·dim is a whole number of at most 12. */
  bits: { number: { above: 0, most: 12 } },
  /** Neighbouring weights that share a code. */
  dim: { of: [1, 2, 4, 8], default: 2 },
  /** Weights of a row that share a scale; `none`: the codebook alone sets the scale. */
  group: { like: groupSize, of: ['none'], default: 'auto' },
  scales: { like: scaleFormat, default: 'double' },
  /** Brings similar columns together inside blocks of 64 rows and stores their order: ⌈log₂ cols⌉ / 64 bits per weight. */
  permute: { of: [true, false], default: false },
  /** Rounds of k-means at the most. */
  iterations: { whole: [1, 1000], default: 20 },
} as const satisfies Fields

type Params = FullParams<typeof params>

/**
 * Codebooks from k-means: `dim` neighbouring weights of a row are their group's scale times one of 2^(bits·dim) centroids.
 *
 * Parts: `codes` U8 `[rows, ⌈⌈cols / dim⌉·bits·dim / 8⌉]`, `codebook` F16 `[2^(bits·dim), dim]`, unless `group` is `none`
 * `scales` (and `scaleBlocks`), and with `permute` `permutation` U8 `[⌈rows / 64⌉, ⌈cols·⌈log₂ cols⌉ / 8⌉]`: which column
 * comes at each place, for every 64 rows.
 */
export const kmeansLayout: StoredLayout<typeof params> = {
  codec: 'kmeans',
  params,
  parts(shape, params) {
    const [rows, cols] = shape
    const { dim, group, scales, permute } = params
    const width = codeBits(params)
    if (!Number.isInteger(width) || width > 12) {
      throw new ReallmError(
        'bad-option',
        `kmeans: bits·dim must be a whole number of at most 12, not ${width}`,
      )
    }
    const order = {
      dtype: 'U8',
      shape: packedShape(Math.ceil(rows / ORDER_ROWS), cols, columnBits(cols)),
    } as const
    return {
      codes: { dtype: 'U8', shape: packedShape(rows, Math.ceil(cols / dim), width) },
      codebook: { dtype: 'F16', shape: [2 ** width, dim] },
      ...(group === 'none' ? {} : scaleParts(scales, rows, cols / scaleCols(shape, params))),
      ...(permute ? { permutation: order } : {}),
    }
  },
}

/** Bits of a code. */
export const codeBits = ({ bits, dim }: Params): number => bits * dim

/** Columns that share a scale; without scales the whole row. */
export const scaleCols = (shape: MatrixShape, { group, dim }: Params): number =>
  group === 'none' ? shape[1] : groupCols(shape, group, dim)

/**
 * Rows `from` to `to` (exclusive).
 *
 * @throws `bad-tensor` when a row is read whose order names a column there is not
 */
export function readKmeans(e: Stored<typeof kmeansLayout>, from = 0, to = e.shape[0]): CodedRows {
  const { params, parts, shape } = e
  const group = scaleCols(shape, params)
  const perRow = shape[1] / group
  return {
    rows: to - from,
    cols: shape[1],
    codes: packedRows(parts.codes, from, to),
    bits: codeBits(params),
    dim: params.dim,
    table: toFloat32(parts.codebook),
    scales:
      params.group === 'none'
        ? new Float32Array(to - from).fill(1)
        : readScales(e, from * perRow, to * perRow),
    group,
    order: params.permute ? row => orderOf(e, from + row) : undefined,
  }
}

function orderOf({ parts, shape: [, cols] }: Stored<typeof kmeansLayout>, row: number): Uint16Array {
  return checkOrder(unpackRow(parts.permutation, Math.floor(row / ORDER_ROWS), cols, columnBits(cols)), cols)
}
