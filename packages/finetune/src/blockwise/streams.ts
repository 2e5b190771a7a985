import { openFileSource, readAll, writeFileAtomic } from '@reallm/tensor-io'
import { block, embed, type TfTensor, type TransformerConfig, tf, type Weights } from '@reallm/transformer'
import { type Batch, collate, type Window } from '../batches.ts'

/** Hidden states of every window between two blocks, `[positions · hidden]` each. */
export interface Stream {
  readonly windows: number
  get(number: number): Promise<Float32Array>
  set(number: number, states: Float32Array): Promise<void>
}

/** A stream in memory or, where a directory is given, in one file per window. */
export function createStream(windows: number, directory?: string): Stream {
  if (directory === undefined) {
    const states: Float32Array[] = []
    return {
      windows,
      get: async number => states[number],
      set: async (number, x) => {
        states[number] = x
      },
    }
  }
  const pathOf = (number: number) => `${directory}/${number}.f32`
  return {
    windows,
    async get(number) {
      const source = await openFileSource(pathOf(number))
      try {
        const { buffer, byteOffset, byteLength } = await readAll(source)
        return new Float32Array(buffer, byteOffset, byteLength / 4)
      } finally {
        await source.close()
      }
    },
    set: (number, x) =>
      writeFileAtomic(pathOf(number), new Uint8Array(x.buffer as ArrayBuffer, x.byteOffset, x.byteLength)),
  }
}

/** Fills a stream with what is in front of the first block. */
export async function embedWindows(
  config: TransformerConfig,
  outer: Weights,
  windows: readonly Window[],
  stream: Stream,
): Promise<void> {
  for (let number = 0; number < windows.length; number++) {
    const { ids, length } = collate(windows, [number])
    await stream.set(
      number,
      await valuesOf(() => embed(config, outer, tf.tensor2d(ids, [1, length], 'int32'))),
    )
  }
}

/** Moves a stream behind a block, in place. */
export async function advance(
  config: TransformerConfig,
  stream: Stream,
  run: (x: TfTensor) => TfTensor,
): Promise<void> {
  for (let number = 0; number < stream.windows; number++) {
    const x = await stream.get(number)
    const shape: [number, number, number] = [1, x.length / config.hiddenSize, config.hiddenSize]
    await stream.set(number, await valuesOf(() => run(tf.tensor3d(x, shape))))
  }
}

/** Block `i` as it is, for `advance`. */
export const plainBlock =
  (config: TransformerConfig, weights: Weights, i: number) =>
  (x: TfTensor): TfTensor =>
    block(config, weights, i, x)

/** The batch's rows out of a stream, `[rows · length · hidden]`, shorter windows padded with zeros. */
export async function rowsOf(
  { hiddenSize }: TransformerConfig,
  stream: Stream,
  batch: Batch,
): Promise<Float32Array> {
  const width = batch.length * hiddenSize
  const values = new Float32Array(batch.rows * width)
  for (const [row, number] of batch.windows.entries()) values.set(await stream.get(number), row * width)
  return values
}

async function valuesOf(compute: () => TfTensor): Promise<Float32Array> {
  const result = tf.tidy(compute)
  const values = Float32Array.from((await result.data()) as Float32Array)
  result.dispose()
  return values
}
