import {
  defineCodec,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  type MatrixShape,
  packBits,
  packedBytes,
  ReallmError,
  shapeText,
  type Tensor,
  tensor,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import * as z from 'zod'
import { factorCost, loadFactor, storeFactor } from '../store-factor.ts'

const NAME = 'pruned'
const KEPT = 'kept'

const params = z.strictObject({
  rows: z.int().min(1).optional().describe('rows that are kept; by default all'),
  cols: z.int().min(1).optional().describe('columns that are kept; by default all'),
  bits: z
    .int()
    .min(1)
    .max(16)
    .default(16)
    .describe('bits of a kept weight: 1 to 8 with a scale per row, or 16'),
})

export type PrunedParams = z.input<typeof params>
type Full = z.output<typeof params>

/**
 * Structured pruning: whole rows and columns are left out, the rest is stored dense. By itself it keeps those with the
 * largest norms; where rows of one matrix belong to columns of another, `storePruned` takes the indices.
 *
 * @example
 * const stored = await prunedCodec.encode(w, { rows: 400, bits: 8 }, { seed: 1 })
 */
export const prunedCodec: MatrixCodec<PrunedParams> = defineCodec<PrunedParams, Full>({
  name: NAME,
  params,
  cost([rows, cols], p) {
    const kept = keptShape([rows, cols], p)
    return {
      ...factorCost(KEPT, ...kept, { bits: p.bits, along: 'rows' }),
      ...(kept[0] < rows && { keptRows: { dtype: 'U8', shape: [packedBytes(rows, 1)] } }),
      ...(kept[1] < cols && { keptCols: { dtype: 'U8', shape: [packedBytes(cols, 1)] } }),
    }
  },
  async encode(w, p) {
    const [rows, cols] = keptShape([w.rows, w.cols], p)
    const [byRow, byCol] = squaredNorms(w)
    const { parts } = storePruned(w, largest(byRow, rows), largest(byCol, cols), p.bits)
    return { parts }
  },
  decode({ parts, shape: [rows, cols], params: p }) {
    const [keptRows, keptCols] = [indicesOf(parts.keptRows, rows), indicesOf(parts.keptCols, cols)]
    const kept = loadFactor(KEPT, parts, ...keptShape([rows, cols], p), { bits: p.bits, along: 'rows' })
    const out = zeroMatrix(rows, cols)
    for (const [r, row] of keptRows.entries()) {
      for (const [c, col] of keptCols.entries()) out.data[row * cols + col] = kept.data[r * kept.cols + c]
    }
    return out
  },
})

/** Stores the weights in these rows and columns (rising indices), as `prunedCodec` does. */
export function storePruned(
  w: Matrix,
  rows: readonly number[],
  cols: readonly number[],
  bits: number,
): EncodedMatrix<PrunedParams> {
  const kept = zeroMatrix(rows.length, cols.length)
  for (const [r, row] of rows.entries()) {
    for (const [c, col] of cols.entries()) kept.data[r * cols.length + c] = w.data[row * w.cols + col]
  }
  return {
    codec: NAME,
    params: { rows: rows.length, cols: cols.length, bits },
    shape: [w.rows, w.cols],
    parts: {
      ...storeFactor(KEPT, kept, { bits, along: 'rows' }),
      ...(rows.length < w.rows && { keptRows: bitmap(rows, w.rows) }),
      ...(cols.length < w.cols && { keptCols: bitmap(cols, w.cols) }),
    },
  }
}

function keptShape([rows, cols]: MatrixShape, p: Full): readonly [rows: number, cols: number] {
  const kept = [p.rows ?? rows, p.cols ?? cols] as const
  if (kept[0] > rows || kept[1] > cols) {
    throw new ReallmError('bad-option', `${NAME} ${shapeText([rows, cols])} cannot keep ${shapeText(kept)}`)
  }
  return kept
}

function bitmap(indices: readonly number[], count: number): Tensor<'U8'> {
  const flags = new Uint8Array(count)
  for (const i of indices) flags[i] = 1
  const packed = packBits(flags, 1)
  return tensor('U8', [packed.length], packed)
}

function indicesOf(stored: Tensor | undefined, count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i)
  if (!stored) return all
  const flags = unpackBits(stored.data as Uint8Array, 1, count)
  return all.filter(i => flags[i] === 1)
}

function squaredNorms({ rows, cols, data }: Matrix): [byRow: Float64Array, byCol: Float64Array] {
  const [byRow, byCol] = [new Float64Array(rows), new Float64Array(cols)]
  for (let i = 0; i < data.length; i++) {
    byRow[Math.floor(i / cols)] += data[i] ** 2
    byCol[i % cols] += data[i] ** 2
  }
  return [byRow, byCol]
}

/** Indices of the `count` largest scores, rising. */
export function largest(scores: ArrayLike<number>, count: number): number[] {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b)
  return order.slice(0, count).sort((a, b) => a - b)
}
