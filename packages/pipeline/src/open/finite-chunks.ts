import { type LongWork, placeText, ReallmError, sizeOf, throwIfAborted } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'

/** Weights read at a time. */
const chunk = 1 << 22

/** Weights of one tensor, which begin at place `at` in it. */
export interface Chunk {
  readonly data: Float32Array<ArrayBuffer>
  readonly at: number
}

/**
 * Reads a tensor piece by piece.
 *
 * @throws `numeric` naming the tensor and the place of the first NaN or infinity
 */
export async function* finiteChunks(
  model: Pick<ModelWeights, 'read'>,
  name: string,
  shape: readonly number[],
  { signal }: LongWork,
): AsyncGenerator<Chunk> {
  const rows = shape[0]
  const width = sizeOf(shape) / rows
  const step = Math.max(1, Math.floor(chunk / width))
  for (let from = 0; from < rows; from += step) {
    throwIfAborted(signal)
    const { data } = await model.read(name, [from, Math.min(rows, from + step)])
    const bad = data.findIndex(value => !Number.isFinite(value))
    if (bad >= 0) {
      const place = placeText(shape, from * width + bad)
      throw new ReallmError('numeric', `${name} [${shape.join('×')}] holds ${data[bad]} at ${place}`, {
        hint: 'the weights are damaged: fetch or export the model again',
      })
    }
    yield { data: data as Float32Array<ArrayBuffer>, at: from * width }
  }
}
