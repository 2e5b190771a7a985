import { type LongWork, sizeOf, throwIfAborted } from '@reallm/tensor-io'
import { type InStack, stackBuilder } from '@reallm/tensor-io/models'
import type { ModelWeights } from '@reallm/transformer'

/**
 * Reads a model tensor by tensor, in order, and reports how far it is. Tensors that are stored in stacks come as these, once
 * they are complete.
 *
 * @param places of the tensors in stacks
 */
export async function eachTensor(
  model: ModelWeights,
  places: ReadonlyMap<string, InStack>,
  { signal, onProgress }: LongWork,
  write: (name: string, values: Float32Array<ArrayBuffer>, shape: readonly number[]) => Promise<void>,
): Promise<void> {
  const total = [...model.shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0)
  const stacks = stackBuilder(places)
  let done = 0
  for (const [name, shape] of model.shapes) {
    throwIfAborted(signal)
    const { data } = await model.read(name)
    const stored = stacks.add({ name, shape, values: data as Float32Array<ArrayBuffer> })
    if (stored) await write(stored.name, stored.values, stored.shape)
    done += data.length
    onProgress?.({ event: 'tensor-end', name, done, total })
  }
}
