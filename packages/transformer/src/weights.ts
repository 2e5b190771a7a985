import { blockTensors, embeddingAndHeadTensors, type ModelWeights } from '@reallm/tensor-io/models'
import { type TfTensor, tf } from './tf.ts'

/** Loads the named tensors onto the backend; the caller disposes of them. */
export async function loadTensors(
  model: ModelWeights,
  names: Iterable<string>,
): Promise<Record<string, TfTensor>> {
  const loaded: Record<string, TfTensor> = {}
  for (const name of names) {
    const { data, shape } = await model.read(name)
    const tensor = tf.tensor(data, [...shape], 'float32')
    // Until an operation first reads a tensor, the native backend keeps the array that it was made of.
    const [start, one] = [0, 1].map(v => shape.map(() => v))
    tf.slice(tensor, start, one).dispose()
    loaded[name] = tensor
  }
  return loaded
}

/** The weights that block `i` needs; the caller disposes of them. */
export const loadBlock = (model: ModelWeights, i: number): Promise<Record<string, TfTensor>> =>
  loadTensors(model, blockTensors(model.config, i).keys())

/** Embedding, last norm and head; the caller disposes of them. */
export const loadEmbeddingsAndHead = (model: ModelWeights): Promise<Record<string, TfTensor>> =>
  loadTensors(model, embeddingAndHeadTensors(model.config).keys())

/** All weights; the caller disposes of them. */
export const loadWeights = (model: ModelWeights): Promise<Record<string, TfTensor>> =>
  loadTensors(model, model.names)
