import type { Matrix } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'

/** A tensor of a model as a matrix in float32. */
export async function readMatrix(model: ModelWeights, name: string): Promise<Matrix> {
  const { shape, data } = await model.read(name)
  return { rows: shape[0], cols: shape[1], data }
}
