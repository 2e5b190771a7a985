import type { Matrix } from '@reallm/tensor-io'
import { type ModelWeights, rowsOf } from '@reallm/transformer'
import { sharedFloats } from '#workers'

/** Weights of a piece that is read at a time. */
const pieceWeights = 2 ** 20

/** A tensor of a model as a matrix in float32, in memory that threads share: another one needs no copy of it. */
export async function readSharedMatrix(model: ModelWeights, name: string): Promise<Matrix> {
  const { shape, read } = rowsOf(model, name)
  const [rows, cols] = shape
  const data = sharedFloats(rows * cols)
  const each = Math.ceil(pieceWeights / cols)
  for (let from = 0; from < rows; from += each)
    data.set(await read(from, Math.min(rows, from + each)), from * cols)
  return { rows, cols, data }
}
