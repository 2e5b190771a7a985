import type { Pointer } from '@reallm/kernels/inference'
import {
  attentionOf,
  gatedMlpOf,
  type LinearModule,
  type Norm,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { AttentionMixer } from './attention.ts'
import { Activations, BATCH, type Engine } from './engine.ts'
import { GatedProduct } from './gated-product.ts'
import type { KvCache } from './kv-cache.ts'
import { type DecoderWeights, normalise, project } from './weights.ts'

/** Which positions' logits a forward pass computes. */
export type LogitsOf = 'none' | 'last' | 'all'

/**
 * The forward pass of a model, from its layers as data: at most `BATCH` tokens at a time, their keys and values appended
 * to a cache.
 */
export class Decoder {
  readonly config: TransformerConfig
  /** May be exchanged between calls for the same ones with an adapter. */
  weights: DecoderWeights
  readonly #engine: Engine
  readonly #hidden: Activations
  readonly #normed: Activations
  readonly #projected: Pointer
  readonly #attention: AttentionMixer
  readonly #mlp: GatedProduct
  readonly #logits: Pointer

  constructor(engine: Engine, config: TransformerConfig, weights: DecoderWeights) {
    const { hiddenSize, vocabSize } = config
    this.#engine = engine
    this.config = config
    this.weights = weights
    this.#hidden = new Activations(engine, hiddenSize)
    this.#normed = new Activations(engine, hiddenSize)
    this.#projected = engine.allocateFloats(BATCH * hiddenSize)
    this.#attention = new AttentionMixer(engine, config)
    this.#mlp = new GatedProduct(engine, config)
    this.#logits = engine.allocateFloats(vocabSize + 4)
  }

  /**
   * Runs `ids` (at most `BATCH`) behind what `cache` holds, of a text that will have `length` positions. Returns logits:
   * none, `[vocab]` of the last token (a view that the next call overwrites), or `[ids, vocab]`.
   */
  forward(
    ids: readonly number[],
    cache: KvCache,
    logits: LogitsOf,
    length = cache.length + ids.length,
  ): Float32Array {
    const { hiddenSize, embeddingScale, vocabSize, layerSpecs } = this.config
    const tokens = ids.length
    cache.reserve(cache.length + tokens)
    this.#attention.prepare(cache.length, tokens, length)
    for (const [t, id] of ids.entries()) {
      this.weights.embedding.row(id, this.#hidden.at + 4 * t * hiddenSize, embeddingScale)
    }
    for (const [i, { mixer, ffn, norms, scales }] of layerSpecs.entries()) {
      const x = this.#input(norms.beforeMixer, tokens)
      const attention = attentionOf(mixer, 'the runtime')
      const attended = this.#attention.run(attention, i, this.weights, x, cache, tokens)
      this.#add(mixer.output, attended, norms.afterMixer, scales.residual, tokens)
      const y = this.#input(norms.beforeFfn, tokens)
      const mlp = gatedMlpOf(ffn, 'the runtime')
      const gated = this.#mlp.run(mlp, this.weights, y, tokens)
      this.#add(mlp.down, gated, norms.afterFfn, scales.residual, tokens)
    }
    cache.length += tokens
    if (logits === 'none') return new Float32Array(0)
    if (logits === 'last') return this.#logitsOf(tokens - 1)
    const all = new Float32Array(tokens * vocabSize)
    for (let t = 0; t < tokens; t++) all.set(this.#logitsOf(t), t * vocabSize)
    return all
  }

  /** What a sublayer sees of the hidden states. */
  #input(norm: Norm | undefined, tokens: number): Activations {
    if (!norm) return this.#hidden.changed()
    const x = this.#normed.changed()
    normalise(this.#engine, this.weights, norm, this.#hidden.at, x.at, tokens * norm.width)
    return x
  }

  /** hidden += scale · norm(W x + bias) */
  #add(module: LinearModule, x: Activations, norm: Norm | undefined, scale: number, tokens: number): void {
    const engine = this.#engine
    const hidden = this.#hidden.at
    if (!norm && scale === 1) {
      project(engine, this.weights, module, x, hidden, tokens, true)
      return
    }
    const y = this.#projected
    const floats = tokens * module.shape[0]
    project(engine, this.weights, module, x, y, tokens)
    if (norm) normalise(engine, this.weights, norm, y, y, floats)
    if (scale === 1) engine.kernels.addInPlace(hidden, y, floats)
    else engine.kernels.addScaled(hidden, y, floats, scale)
  }

  #logitsOf(token: number): Float32Array {
    const { hiddenSize, vocabSize, norm, logitScale, logitSoftcap } = this.config
    const x = this.#normed.changed()
    normalise(this.#engine, this.weights, norm, this.#hidden.at + 4 * token * hiddenSize, x.at, hiddenSize)
    this.weights.head.apply(x, this.#logits, vocabSize, 1, false)
    const logits = this.#engine.arena.floats(this.#logits, vocabSize)
    if (logitScale !== 1) for (let i = 0; i < vocabSize; i++) logits[i] *= logitScale
    if (logitSoftcap !== undefined) {
      for (let i = 0; i < vocabSize; i++) logits[i] = logitSoftcap * Math.tanh(logits[i] / logitSoftcap)
    }
    return logits
  }
}
