import {
  blockTensors,
  embeddingAndHeadTensors,
  type ModelWeights,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { tf } from './tf.ts'
import type { Hooks, Weights } from './transformer.ts'
import { loadTensors } from './weights.ts'

/** What is needed at one time: the embedding, block i, or last norm and head. */
export type ModelPart = 'embed' | 'head' | number

/** A model whose weights come part by part, so that long work can hold one part in memory. */
export interface WeightSource {
  readonly config: TransformerConfig
  /** Changes to linear layers, such as an adapter's. */
  readonly hooks?: Hooks | undefined
  /** Runs `use` with the weights of one part in memory. */
  with<T>(part: ModelPart, use: (weights: Weights) => T | Promise<T>): Promise<T>
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
  with: async (_part, use) => use(weights),
})

/** Weights read from the model's files each time that a part is used, and freed after it. */
export const streamed = (model: ModelWeights, hooks?: Hooks): WeightSource => ({
  config: model.config,
  hooks,
  async with(part, use) {
    const weights = await loadTensors(model, tensorsOf(model.config, part))
    try {
      return await use(weights)
    } finally {
      tf.dispose(weights)
    }
  },
})

function tensorsOf(config: TransformerConfig, part: ModelPart): Iterable<string> {
  const embedding = 'model.embed_tokens.weight'
  if (part === 'embed') {
    const outside = [...embeddingAndHeadTensors(config).keys()]
    return outside.filter(name => name !== 'lm_head.weight' && name !== `${config.norm.name}.weight`)
  }
  if (part === 'head') return [`${config.norm.name}.weight`, config.tiedHead ? embedding : 'lm_head.weight']
  return blockTensors(config, part).keys()
}
