import { blockTensors, type ModelWeights, type TransformerConfig } from '@reallm/tensor-io/models'
import { embedTokens, rowsOf, type TokenBatch } from './embed-tokens.ts'
import { type Head, loadedHead, withHead } from './head.ts'
import { type TfTensor, tf } from './tf.ts'
import { tokenRows } from './token-rows.ts'
import { embed, type Hooks, type Weights } from './transformer.ts'
import { loadTensors } from './weights.ts'

/** A model whose weights come part by part, so that long work can hold one part in memory. */
export interface WeightSource {
  readonly config: TransformerConfig
  /** Changes to linear layers, such as an adapter's. */
  readonly hooks?: Hooks | undefined
  /**
   * The stream before the first layer, `[batch, positions, streamWidth]`, of batches of sequences of one length; the caller disposes
   * of it.
   */
  embed(batches: readonly TokenBatch[]): Promise<TfTensor[]>
  /** Runs `use` with the weights of layer `i` in memory. */
  with<T>(i: number, use: (weights: Weights) => T | Promise<T>): Promise<T>
  /** Runs `use` with the last norm and the head. */
  withHead<T>(use: (head: Head) => T | Promise<T>): Promise<T>
}

/**
 * Weights that are all in memory already; they stay the caller's.
 *
 * @example
 * const source = inMemory(model.config, await loadWeights(model))
 */
export const inMemory = (config: TransformerConfig, weights: Weights, hooks?: Hooks): WeightSource => ({
  config,
  hooks,
  embed: async batches =>
    batches.map(batch =>
      tf.tidy(() =>
        embed(
          config,
          weights,
          tf.tensor2d(
            batch.map(ids => [...ids]),
            undefined,
            'int32',
          ),
        ),
      ),
    ),
  with: async (_, use) => use(weights),
  withHead: async use => use(loadedHead(config, weights, hooks)),
})

/**
 * Weights read from the model's files each time that a part is used, and freed after it; large vocabularies in pieces.
 *
 * @param most weights of the head that are in memory at a time
 */
export const streamed = (model: ModelWeights, most?: number): WeightSource => ({
  config: model.config,
  async embed(batches) {
    const rows = await tokenRows(rowsOf(model, 'model.embed_tokens.weight'), batches.flat())
    const embedded: TfTensor[] = []
    for (const batch of batches) embedded.push(await embedTokens(model, batch, rows))
    return embedded
  },
  async with(i, use) {
    const weights = await loadTensors(model, blockTensors(model.config, i).keys())
    try {
      return await use(weights)
    } finally {
      tf.dispose(weights)
    }
  },
  withHead: use => withHead(model, use, most),
})
