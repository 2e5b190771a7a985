import { block, embed, type TfTensor, type TransformerConfig, tf, type Weights } from '@reallm/transformer'
import { type Batch, collate, type Window } from '../batches.ts'

/** Hidden states of every window between two blocks, `[positions · hidden]` each. */
export type Stream = Float32Array[]

/** The stream in front of the first block. */
export async function embedWindows(
  config: TransformerConfig,
  outer: Weights,
  windows: readonly Window[],
): Promise<Stream> {
  const stream: Stream = []
  for (let number = 0; number < windows.length; number++) {
    const { ids, length } = collate(windows, [number])
    stream.push(await valuesOf(() => embed(config, outer, tf.tensor2d(ids, [1, length], 'int32'))))
  }
  return stream
}

/** Moves a stream behind a block, in place. */
export async function advance(
  config: TransformerConfig,
  stream: Stream,
  run: (x: TfTensor) => TfTensor,
): Promise<void> {
  for (const [number, x] of stream.entries()) {
    stream[number] = await valuesOf(() =>
      run(tf.tensor3d(x, [1, x.length / config.hiddenSize, config.hiddenSize])),
    )
  }
}

/** Block `i` as it is, for `advance`. */
export const plainBlock =
  (config: TransformerConfig, weights: Weights, i: number) =>
  (x: TfTensor): TfTensor =>
    block(config, weights, i, x)

/** The batch's rows out of a stream, `[rows, length, hidden]`, shorter windows padded with zeros. */
export function rowsOf(config: TransformerConfig, stream: Stream, batch: Batch): TfTensor {
  const width = batch.length * config.hiddenSize
  const values = new Float32Array(batch.rows * width)
  for (const [row, number] of batch.windows.entries()) values.set(stream[number], row * width)
  return tf.tensor3d(values, [batch.rows, batch.length, config.hiddenSize])
}

async function valuesOf(compute: () => TfTensor): Promise<Float32Array> {
  const result = tf.tidy(compute)
  const values = Float32Array.from((await result.data()) as Float32Array)
  result.dispose()
  return values
}
