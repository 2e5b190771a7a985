import { type LongWork, sizeOf, throwIfAborted } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'

/** Reads a model tensor by tensor, in order, and reports how far it is. */
export async function eachTensor(
  model: ModelWeights,
  { signal, onProgress }: LongWork,
  write: (name: string, values: Float32Array<ArrayBuffer>, shape: readonly number[]) => Promise<void>,
): Promise<void> {
  const total = [...model.shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0)
  let done = 0
  for (const [name, shape] of model.shapes) {
    throwIfAborted(signal)
    const { data } = await model.read(name)
    await write(name, data as Float32Array<ArrayBuffer>, shape)
    done += data.length
    onProgress?.({ event: 'tensor-end', name, done, total })
  }
}
