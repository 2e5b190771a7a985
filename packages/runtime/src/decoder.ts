import type { Pointer } from '@reallm/kernels/inference'
import type { TransformerConfig } from '@reallm/tensor-io/models'
import { Activations, BATCH, type Engine } from './engine.ts'
import type { KvCache } from './kv-cache.ts'
import type { Linear } from './linear/linear.ts'

/** A linear layer and its bias. */
export interface Projection {
  readonly linear: Linear
  readonly bias?: Pointer
}

/** The weights of one block; norms are addresses of float vectors. */
export interface Block {
  readonly inputNorm: Pointer
  readonly q: Projection
  readonly k: Projection
  readonly v: Projection
  readonly o: Projection
  readonly qNorm?: Pointer
  readonly kNorm?: Pointer
  /** Behind attention and in front of the MLP; Gemma has two norms there and one behind the MLP. */
  readonly attentionNorm?: Pointer
  readonly mlpNorm: Pointer
  readonly outputNorm?: Pointer
  readonly gate: Projection
  readonly up: Projection
  readonly down: Projection
}

export interface DecoderWeights {
  readonly embedding: Linear
  readonly blocks: readonly Block[]
  readonly norm: Pointer
  /** The embedding itself when they are tied. */
  readonly head: Linear
}

/** Which positions' logits a forward pass computes. */
export type LogitsOf = 'none' | 'last' | 'all'

/**
 * The forward pass of Llama-like decoders (Llama, Mistral, Qwen 2 and 3, Gemma 3): at most `BATCH` tokens at a time,
 * their keys and values appended to a cache.
 */
export class Decoder {
  readonly config: TransformerConfig
  /** May be exchanged between calls for the same ones with an adapter. */
  weights: DecoderWeights
  readonly #engine: Engine
  readonly #hidden: Pointer
  readonly #projected: Pointer
  readonly #normed: Activations
  readonly #q: Pointer
  readonly #attended: Activations
  readonly #gate: Activations
  readonly #up: Pointer
  readonly #logits: Pointer
  readonly #angles: Map<TransformerConfig['ropes'][number], { cos: Pointer; sin: Pointer }>
  #scores: Pointer
  #scoresStride = 256

  constructor(engine: Engine, config: TransformerConfig, weights: DecoderWeights) {
    const { hiddenSize, heads, headDim, intermediateSize, vocabSize } = config
    this.#engine = engine
    this.config = config
    this.weights = weights
    this.#hidden = engine.allocateFloats(BATCH * hiddenSize)
    this.#projected = engine.allocateFloats(BATCH * hiddenSize)
    this.#normed = new Activations(engine, hiddenSize)
    this.#q = engine.allocateFloats(BATCH * heads * headDim)
    this.#attended = new Activations(engine, heads * headDim)
    this.#gate = new Activations(engine, intermediateSize)
    this.#up = engine.allocateFloats(BATCH * intermediateSize)
    this.#logits = engine.allocateFloats(vocabSize + 4)
    const half = headDim / 2
    this.#angles = new Map(
      config.ropes.map(rope => [
        rope,
        { cos: engine.allocateFloats(BATCH * half), sin: engine.allocateFloats(BATCH * half) },
      ]),
    )
    this.#scores = engine.allocateFloats(engine.inference.threads * this.#scoresStride)
  }

  /**
   * Runs `ids` (at most `BATCH`) behind what `cache` holds. Returns logits: none, `[vocab]` of the last token (a view
   * that the next call overwrites), or `[ids, vocab]`.
   */
  forward(ids: readonly number[], cache: KvCache, logits: LogitsOf): Float32Array {
    const { hiddenSize, embeddingScale, vocabSize } = this.config
    const position = cache.length
    cache.reserve(position + ids.length)
    this.#prepare(position, ids.length)
    for (const [t, id] of ids.entries()) {
      this.weights.embedding.row(id, this.#hidden + 4 * t * hiddenSize, embeddingScale)
    }
    for (const [i, block] of this.weights.blocks.entries()) {
      this.#attention(block, i, cache, position, ids.length)
      this.#mlp(block, ids.length)
    }
    cache.length += ids.length
    if (logits === 'none') return new Float32Array(0)
    if (logits === 'last') return this.#logitsOf(ids.length - 1)
    const all = new Float32Array(ids.length * vocabSize)
    for (let t = 0; t < ids.length; t++) all.set(this.#logitsOf(t), t * vocabSize)
    return all
  }

  #attention(block: Block, i: number, cache: KvCache, position: number, tokens: number): void {
    const { kernels } = this.#engine
    const { heads, kvHeads, headDim, normEps, hiddenSize, windows, attentionScale } = this.config
    const [half, kvWidth] = [headDim / 2, kvHeads * headDim]
    const x = this.#normed.changed()
    const { keys, values } = cache.layers[i]
    const [k, v] = [keys + 4 * position * kvWidth, values + 4 * position * kvWidth]

    kernels.rmsNorm(this.#hidden, block.inputNorm, x.at, tokens, hiddenSize, normEps)
    this.#project(block.q, x, this.#q, tokens)
    this.#project(block.k, x, k, tokens)
    this.#project(block.v, x, v, tokens)
    if (block.qNorm) kernels.rmsNorm(this.#q, block.qNorm, this.#q, tokens * heads, headDim, normEps)
    if (block.kNorm) kernels.rmsNorm(k, block.kNorm, k, tokens * kvHeads, headDim, normEps)
    const { cos, sin } = this.#angles.get(this.config.ropes[i])!
    kernels.rope(this.#q, cos, sin, tokens, heads, half)
    kernels.rope(k, cos, sin, tokens, kvHeads, half)
    kernels.attention(
      this.#q,
      keys,
      values,
      this.#attended.changed().at,
      tokens,
      heads,
      kvHeads,
      headDim,
      position,
      windows[i] ?? 0,
      attentionScale,
      this.#scores,
      this.#scoresStride,
    )
    this.#addToHidden(block.o, this.#attended, block.attentionNorm, tokens)
  }

  #mlp(block: Block, tokens: number): void {
    const { kernels } = this.#engine
    const { hiddenSize, intermediateSize, normEps, activation } = this.config
    const x = this.#normed.changed()
    kernels.rmsNorm(this.#hidden, block.mlpNorm, x.at, tokens, hiddenSize, normEps)
    this.#project(block.gate, x, this.#gate.changed().at, tokens)
    this.#project(block.up, x, this.#up, tokens)
    kernels.gate(this.#gate.at, this.#up, tokens * intermediateSize, activation === 'silu' ? 0 : 1)
    this.#addToHidden(block.down, this.#gate, block.outputNorm, tokens)
  }

  #project({ linear, bias }: Projection, x: Activations, y: Pointer, tokens: number): void {
    linear.apply(x, y, linear.rows, tokens, false)
    if (bias !== undefined) this.#engine.kernels.addBias(y, bias, tokens, linear.rows)
  }

  /** hidden += norm(W x + bias) */
  #addToHidden(projection: Projection, x: Activations, norm: Pointer | undefined, tokens: number): void {
    const { kernels } = this.#engine
    const { hiddenSize, normEps } = this.config
    if (norm === undefined) {
      projection.linear.apply(x, this.#hidden, hiddenSize, tokens, true)
      if (projection.bias !== undefined) kernels.addBias(this.#hidden, projection.bias, tokens, hiddenSize)
      return
    }
    this.#project(projection, x, this.#projected, tokens)
    kernels.rmsNorm(this.#projected, norm, this.#projected, tokens, hiddenSize, normEps)
    kernels.addInPlace(this.#hidden, this.#projected, tokens * hiddenSize)
  }

  #logitsOf(token: number): Float32Array {
    const { kernels, arena } = this.#engine
    const { hiddenSize, vocabSize, normEps, logitSoftcap } = this.config
    const x = this.#normed.changed()
    kernels.rmsNorm(this.#hidden + 4 * token * hiddenSize, this.weights.norm, x.at, 1, hiddenSize, normEps)
    this.weights.head.apply(x, this.#logits, vocabSize, 1, false)
    const logits = arena.floats(this.#logits, vocabSize)
    if (logitSoftcap !== undefined) {
      for (let i = 0; i < vocabSize; i++) logits[i] = logitSoftcap * Math.tanh(logits[i] / logitSoftcap)
    }
    return logits
  }

  /** Angles of the positions to come, and room for their scores. */
  #prepare(position: number, tokens: number): void {
    const { arena } = this.#engine
    const half = this.config.headDim / 2
    for (const [{ inverseFrequencies, scale }, angles] of this.#angles) {
      const cos = arena.floats(angles.cos, tokens * half)
      const sin = arena.floats(angles.sin, tokens * half)
      for (let t = 0; t < tokens; t++) {
        for (let j = 0; j < half; j++) {
          const angle = (position + t) * inverseFrequencies[j]
          cos[t * half + j] = Math.cos(angle) * scale
          sin[t * half + j] = Math.sin(angle) * scale
        }
      }
    }
    if (position + tokens + 4 <= this.#scoresStride) return
    arena.free(this.#scores)
    while (this.#scoresStride < position + tokens + 4) this.#scoresStride *= 2
    this.#scores = this.#engine.allocateFloats(this.#engine.inference.threads * this.#scoresStride)
  }
}
