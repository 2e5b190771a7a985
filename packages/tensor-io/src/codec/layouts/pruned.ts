import { packedBytes, unpackBits } from '../../core/bits.ts'
import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import type { Matrix, MatrixShape, Tensor } from '../../core/tensor.ts'
import { altered } from '../altered.ts'
import type { Fields } from '../field.ts'
import type { ParamsOf, Stored, StoredLayout } from '../layout.ts'
import { type FactorFormat, factorBits, factorParts, readFactor } from './factors.ts'

/** The part that holds the weights that are kept. */
export const KEPT = 'kept'

const params = {
  /** Rows that are kept; by default all. */
  rows: { whole: [1], optional: true },
  /** Columns that are kept; by default all. */
  cols: { whole: [1], optional: true },
  /** Bits of a kept weight: 1 to 8 with a scale per row, or 16. */
  bits: { like: factorBits, default: 16 },
} as const satisfies Fields

/**
 * Structured pruning: whole rows and columns are left out.
 *
 * Parts: `kept` as `factorParts` tells, a scale for each row; where some are left out `keptRows` U8 `[⌈rows / 8⌉]` and `keptCols`
 * U8 `[⌈cols / 8⌉]`, a bit for each row or column, set where it is kept.
 */
export const prunedLayout: StoredLayout<typeof params> = {
  codec: 'pruned',
  params,
  parts([rows, cols], params) {
    const kept = keptShape([rows, cols], params)
    return {
      ...factorParts(KEPT, ...kept, keptFormat(params.bits)),
      ...(kept[0] < rows ? { keptRows: { dtype: 'U8', shape: [packedBytes(rows, 1)] } } : {}),
      ...(kept[1] < cols ? { keptCols: { dtype: 'U8', shape: [packedBytes(cols, 1)] } } : {}),
    }
  },
}

/** How kept weights are stored. */
export const keptFormat = (bits: number): FactorFormat => ({ bits, along: 'rows' })

/** Rows and columns that are kept. */
export function keptShape([rows, cols]: MatrixShape, p: ParamsOf<typeof prunedLayout>): MatrixShape {
  const kept = [p.rows ?? rows, p.cols ?? cols] as const
  if (kept[0] > rows || kept[1] > cols) {
    throw new ReallmError('bad-option', `pruned ${shapeText([rows, cols])} cannot keep ${shapeText(kept)}`)
  }
  return kept
}

/**
 * The kept weights, and the rows and columns that they belong to.
 *
 * @throws `bad-tensor` when as many rows and columns are not marked as are kept
 */
export function readPruned(e: Stored<typeof prunedLayout>): {
  kept: Matrix
  rows: readonly number[]
  cols: readonly number[]
} {
  const { parts, shape, params } = e
  const kept = readFactor(KEPT, parts, ...keptShape(shape, params), keptFormat(params.bits))
  const rows = marked(parts.keptRows, shape[0])
  const cols = marked(parts.keptCols, shape[1])
  if (rows.length !== kept.rows || cols.length !== kept.cols) {
    throw altered(
      `pruned ${shapeText(shape)}: ${shapeText([rows.length, cols.length])} are marked as kept, not ${shapeText([kept.rows, kept.cols])}`,
    )
  }
  return { kept, rows, cols }
}

/** Indices of the bits that are set; all of them where nothing is stored. */
function marked(stored: Tensor | undefined, count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i)
  if (!stored) return all
  const flags = unpackBits(stored.data as Uint8Array, 1, count)
  return all.filter(i => flags[i] === 1)
}
