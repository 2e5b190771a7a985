import type { Matrix } from '@reallm/tensor-io'
import { embed, type TransformerConfig, tf, valuesOf } from '@reallm/transformer'
import { pause } from '#platform'
import { type Activations, activations, type Scratch } from './activations.ts'
import type { SequenceBatch } from './forward.ts'

/** Hidden states of all sequences before the next layer. */
export interface HiddenStates {
  /** Batches that the sequences are in. */
  readonly batches: number
  get(batch: number): Promise<SequenceBatch>
  /** Replaces every batch by what `step` makes of it. */
  advance(step: (x: SequenceBatch, batch: number) => Float32Array | Promise<Float32Array>): Promise<void>
  close(): Promise<void>
}

/** Tokens that go through a layer at one time. */
const batchTokens = 2048

/** Consecutive sequences of one length that go through a layer together. */
export function batchesOf(sequences: readonly Int32Array[]): Int32Array[][] {
  const each = Math.max(1, Math.floor(batchTokens / sequences[0].length))
  return Array.from({ length: Math.ceil(sequences.length / each) }, (_, b) =>
    sequences.slice(b * each, (b + 1) * each),
  )
}

/** Starts behind the embedding: looks up every sequence's tokens in `table` `[vocabulary, hidden]`. */
export async function embedSequences(
  config: TransformerConfig,
  table: Matrix,
  batches: readonly (readonly Int32Array[])[],
  scratch: Scratch,
): Promise<HiddenStates> {
  const x: Activations = await activations(scratch)
  const { length } = batches[0][0]
  for (const [b, sequences] of batches.entries()) await x.set(b, lookUp(config, table, sequences))
  const get = async (batch: number) => ({ values: await x.get(batch), length })
  return {
    batches: batches.length,
    get,
    async advance(step) {
      for (let b = 0; b < batches.length; b++) {
        await x.set(b, await step(await get(b), b))
        // Lets the answers of encoding threads through.
        await pause()
      }
    },
    close: x.close,
  }
}

/** Rows of the embedding as the model's forward pass sees them. */
function lookUp(config: TransformerConfig, table: Matrix, sequences: readonly Int32Array[]): Float32Array {
  const { cols } = table
  const ids = sequences.flatMap(sequence => [...sequence])
  const rows = new Float32Array(ids.length * cols)
  for (const [t, id] of ids.entries()) rows.set(table.data.subarray(id * cols, (id + 1) * cols), t * cols)
  return valuesOf(() => {
    const weights = { 'model.embed_tokens.weight': tf.tensor2d(rows, [ids.length, cols]) }
    return embed(config, weights, tf.range(0, ids.length, 1, 'int32').expandDims(0))
  })
}
