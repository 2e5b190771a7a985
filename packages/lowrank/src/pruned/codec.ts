import {
  defineCodec,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  packBits,
  type Tensor,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import { KEPT, keptFormat, keptShape, prunedLayout, readPruned } from '@reallm/tensor-io/layouts'
import { storeFactor } from '../store-factor.ts'

/** Parameters of the codec `pruned`. */
export type PrunedParams = GivenOf<typeof prunedLayout>

/**
 * Structured pruning: whole rows and columns are left out, the rest is stored dense. By itself it keeps those with the
 * largest norms; where rows of one matrix belong to columns of another, `storePruned` takes the indices.
 *
 * @example
 * const stored = await prunedCodec.encode(w, { rows: 400, bits: 8 }, { seed: 1 })
 */
export const prunedCodec = defineCodec({
  layout: prunedLayout,
  async encode(w, p) {
    const [rows, cols] = keptShape([w.rows, w.cols], p)
    const [byRow, byCol] = squaredNorms(w)
    const { parts } = storePruned(w, largest(byRow, rows), largest(byCol, cols), p.bits)
    return { parts }
  },
  decode(e) {
    const { kept, rows, cols } = readPruned(e)
    const out = zeroMatrix(...e.shape)
    for (const [r, row] of rows.entries()) {
      for (const [c, col] of cols.entries()) out.data[row * out.cols + col] = kept.data[r * kept.cols + c]
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
    codec: prunedLayout.codec,
    params: { rows: rows.length, cols: cols.length, bits },
    shape: [w.rows, w.cols],
    parts: {
      ...storeFactor(KEPT, kept, keptFormat(bits)),
      ...(rows.length < w.rows && { keptRows: bitmap(rows, w.rows) }),
      ...(cols.length < w.cols && { keptCols: bitmap(cols, w.cols) }),
    },
  }
}

function bitmap(indices: readonly number[], count: number): Tensor<'U8'> {
  const flags = new Uint8Array(count)
  for (const i of indices) flags[i] = 1
  const packed = packBits(flags, 1)
  return tensor('U8', [packed.length], packed)
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
