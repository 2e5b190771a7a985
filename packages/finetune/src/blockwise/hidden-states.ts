import { openFileSource, readAll, writeFileAtomic } from '@reallm/tensor-io'
import {
  block,
  embed,
  streamWidth,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import { type Batch, collate, type Sequence } from '../batches.ts'

/** Hidden states of every sequence between two blocks, `[positions · hidden]` each. */
export interface SequenceStates {
  readonly sequences: number
  get(number: number): Promise<Float32Array>
  set(number: number, states: Float32Array): Promise<void>
}

/** Keeps them in memory or, where a directory is given, in one file per sequence. */
export function createSequenceStates(sequences: number, directory?: string): SequenceStates {
  if (directory === undefined) {
    const states: Float32Array[] = []
    return {
      sequences,
      get: async number => states[number],
      set: async (number, x) => {
        states[number] = x
      },
    }
  }
  const pathOf = (number: number) => `${directory}/${number}.f32`
  return {
    sequences,
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

/** Sets the inputs of the first block: the embeddings of the sequences. */
export async function embedSequences(
  config: TransformerConfig,
  weights: Weights,
  sequences: readonly Sequence[],
  states: SequenceStates,
): Promise<void> {
  for (let number = 0; number < sequences.length; number++) {
    const { ids, length } = collate(sequences, [number])
    await states.set(
      number,
      await valuesOf(() => embed(config, weights, tf.tensor2d(ids, [1, length], 'int32'))),
    )
  }
}

/** Runs a block on all hidden states, in place. */
export async function advance(
  config: TransformerConfig,
  states: SequenceStates,
  run: (x: TfTensor) => TfTensor,
): Promise<void> {
  for (let number = 0; number < states.sequences; number++) {
    const x = await states.get(number)
    const width = streamWidth(config)
    const shape: [number, number, number] = [1, x.length / width, width]
    await states.set(number, await valuesOf(() => run(tf.tensor3d(x, shape))))
  }
}

/** Block `i` as it is, for `advance`. */
export const plainBlock =
  (config: TransformerConfig, weights: Weights, i: number) =>
  (x: TfTensor): TfTensor =>
    block(config, weights, i, x)

/** The hidden states of a batch's rows, `[rows · length · hidden]`, shorter sequences padded with zeros. */
export async function rowsOf(
  config: TransformerConfig,
  states: SequenceStates,
  batch: Batch,
): Promise<Float32Array> {
  const width = batch.length * streamWidth(config)
  const values = new Float32Array(batch.rows * width)
  for (const [row, number] of batch.sequences.entries()) values.set(await states.get(number), row * width)
  return values
}

async function valuesOf(compute: () => TfTensor): Promise<Float32Array> {
  const result = tf.tidy(compute)
  const values = Float32Array.from((await result.data()) as Float32Array)
  result.dispose()
  return values
}
