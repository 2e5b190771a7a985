import { blockTensors, type ModelWeights, outerTensors } from '@reallm/tensor-io/decoder'
import { type TfTensor, tf } from './tf.ts'

/** Loads the named tensors onto the backend; the caller disposes of them. */
export async function loadTensors(
  model: ModelWeights,
  names: Iterable<string>,
): Promise<Record<string, TfTensor>> {
  const loaded: Record<string, TfTensor> = {}
  for (const name of names) {
    const { data, shape } = await model.read(name)
    // As the result of an operation: of a tensor that is given, the native backend keeps the array until it is first used.
    loaded[name] = tf.tidy(() => tf.tensor(data, [...shape], 'float32').mul(1))
  }
  return loaded
}

/** The weights that block `i` needs; the caller disposes of them. */
export const loadBlock = (model: ModelWeights, i: number): Promise<Record<string, TfTensor>> =>
  loadTensors(model, blockTensors(model.config, i).keys())

/** Embedding, last norm and head; the caller disposes of them. */
export const loadOuter = (model: ModelWeights): Promise<Record<string, TfTensor>> =>
  loadTensors(model, outerTensors(model.config).keys())

/** All weights; the caller disposes of them. */
export const loadWeights = (model: ModelWeights): Promise<Record<string, TfTensor>> =>
  loadTensors(model, model.names)
