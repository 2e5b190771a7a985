import { type LongWork, sizeOf } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { finiteChunks } from './finite-chunks.ts'

/**
 * Reads all weights of a model once.
 *
 * @throws `numeric` naming the tensor and the place of the first NaN or infinity; `aborted`
 * @example
 * await checkWeights(await openWeights('model'))
 */
export async function checkWeights(
  model: Pick<ModelWeights, 'read' | 'shapes'>,
  work: LongWork = {},
): Promise<void> {
  const total = [...model.shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0)
  let done = 0
  for (const [name, shape] of model.shapes) {
    for await (const { data } of finiteChunks(model, name, shape, work)) {
      done += data.length
      work.onProgress?.({ event: 'weights-read', name, done, total })
    }
  }
}
