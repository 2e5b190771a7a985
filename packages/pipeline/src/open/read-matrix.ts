import type { Matrix } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'

/** A tensor of a model as a matrix in float32. */
export async function readMatrix(model: ModelWeights, name: string): Promise<Matrix> {
  const { shape, data } = await model.read(name)
  return { rows: shape[0], cols: shape[1], data }
}

/** Weights of a piece that is read at a time. */
const pieceWeights = 1 << 22

/** Some rows of a matrix, in the order given, of a tensor that may be too large to be in memory. */
export async function readRows(
  model: Pick<ModelWeights, 'read' | 'shapes'>,
  name: string,
  rows: readonly number[],
): Promise<Matrix> {
  const [all, cols] = model.shapes.get(name)!
  const each = Math.max(1, Math.floor(pieceWeights / cols))
  const data = new Float32Array(rows.length * cols)
  for (let from = 0; from < all; from += each) {
    const to = Math.min(all, from + each)
    if (!rows.some(row => row >= from && row < to)) continue
    const piece = await model.read(name, [from, to])
    for (const [r, row] of rows.entries()) {
      if (row < from || row >= to) continue
      data.set(piece.data.subarray((row - from) * cols, (row - from + 1) * cols), r * cols)
    }
  }
  return { rows: rows.length, cols, data }
}
