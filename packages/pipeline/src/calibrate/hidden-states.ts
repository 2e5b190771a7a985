import {
  embedTokens,
  type ModelWeights,
  rowsOf,
  type TokenRows,
  tokenRows,
  valuesOf,
} from '@reallm/transformer'
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

/** Starts behind the embedding: looks up every sequence's tokens among its `rows`. */
export async function embedSequences(
  model: ModelWeights,
  rows: TokenRows,
  batches: readonly (readonly Int32Array[])[],
  scratch: Scratch,
): Promise<HiddenStates> {
  const x: Activations = await activations(scratch)
  const { length } = batches[0][0]
  for (const [b, sequences] of batches.entries()) {
    const batch = sequences.map(ids => [...ids])
    const embedded = await embedTokens(model, batch, rows)
    await x.set(
      b,
      valuesOf(() => embedded),
    )
    embedded.dispose()
  }
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

/** The rows of a model's embedding that sequences read. */
export const embeddingRows = (model: ModelWeights, sequences: readonly Int32Array[]): Promise<TokenRows> =>
  tokenRows(rowsOf(model, 'model.embed_tokens.weight'), sequences)
