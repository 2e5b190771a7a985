import type { Pointer } from '@reallm/kernels/inference'
import { ReallmError } from '@reallm/tensor-io'
import {
  type Attention,
  attentionOf,
  type Norm,
  type Rope,
  rotations,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { Activations, BATCH, type Engine } from './engine.ts'
import type { KvCache } from './kv-cache.ts'
import { type DecoderWeights, normalise, projectPart } from './weights.ts'

/** cos and sin `[BATCH, pairs]` of the positions at hand. */
interface Angles {
  readonly cos: Pointer
  readonly sin: Pointer
}

/** Attention of all layers of a model, over the cache of a session. */
export class AttentionMixer {
  readonly #engine: Engine
  readonly #angles = new Map<Rope, { readonly queries: Angles; readonly keys: Angles }>()
  readonly #queries: Pointer
  /** What the heads of a layer read, by their width. */
  readonly #attended = new Map<number, Activations>()
  #scores: Pointer
  #scoresStride = 256

  constructor(engine: Engine, { layerSpecs }: TransformerConfig) {
    this.#engine = engine
    const attentions = layerSpecs.map(({ mixer }) => attentionOf(mixer, 'the runtime'))
    const gated = attentions.find(({ gated }) => gated)
    if (gated) {
      throw new ReallmError('unsupported', `${gated.output.name}: the runtime knows no gated attention`)
    }
    for (const { heads, headDim } of attentions) {
      const width = heads * headDim
      if (!this.#attended.has(width)) this.#attended.set(width, new Activations(engine, width))
    }
    this.#queries = engine.allocateFloats(BATCH * Math.max(...this.#attended.keys()))
    this.#scores = engine.allocateFloats(engine.inference.threads * this.#scoresStride)
    for (const { rope } of attentions) {
      if (!rope || this.#angles.has(rope)) continue
      const make = (): Angles => {
        const floats = BATCH * rope.inverseFrequencies.length
        return { cos: engine.allocateFloats(floats), sin: engine.allocateFloats(floats) }
      }
      const keys = make()
      this.#angles.set(rope, { keys, queries: rope.temperature ? make() : keys })
    }
  }

  /** Before a forward pass: the angles of its positions, and room for their scores; `length` is the whole text's. */
  prepare(position: number, tokens: number, length: number): void {
    const { arena } = this.#engine
    for (const [rope, { queries, keys }] of this.#angles) {
      const floats = tokens * rope.inverseFrequencies.length
      const fill = ({ cos, sin }: Angles, queries: boolean) => {
        const place = { first: position, count: tokens, length, queries }
        rotations(rope, place, arena.floats(cos, floats), arena.floats(sin, floats))
      }
      fill(keys, false)
      if (queries !== keys) fill(queries, true)
    }
    if (position + tokens + 4 <= this.#scoresStride) return
    arena.free(this.#scores)
    while (this.#scoresStride < position + tokens + 4) this.#scoresStride *= 2
    this.#scores = this.#engine.allocateFloats(this.#engine.inference.threads * this.#scoresStride)
  }

  /** What the heads read, `[tokens, heads · headDim]`; keys and values go to layer `i` of the cache. */
  run(
    spec: Attention,
    i: number,
    weights: DecoderWeights,
    x: Activations,
    cache: KvCache,
    tokens: number,
  ): Activations {
    const engine = this.#engine
    const { heads, kvHeads, headDim, rope, qkNorm, query, key, value } = spec
    const position = cache.length
    const { keys, values } = cache.layers[i]
    const offset = 4 * position * kvHeads * headDim
    const [q, k] = [this.#queries, keys + offset]
    projectPart(engine, weights, query, x, q, tokens)
    projectPart(engine, weights, key, x, k, tokens, query)
    projectPart(engine, weights, value, x, values + offset, tokens, key)
    const angles = rope && this.#angles.get(rope)
    this.#place(spec, weights, q, tokens * heads, tokens, qkNorm?.query, angles?.queries)
    this.#place(spec, weights, k, tokens * kvHeads, tokens, qkNorm?.key, angles?.keys)
    const attended = this.#attended.get(heads * headDim)!.changed()
    engine.kernels.attention(
      q,
      keys,
      values,
      attended.at,
      tokens,
      heads,
      kvHeads,
      headDim,
      position,
      spec.window ?? 0,
      spec.scale,
      spec.softcap ?? 0,
      this.#scores,
      this.#scoresStride,
    )
    return attended
  }

  /** Norm and rotary embedding of queries or keys, `rows` of them. */
  #place(
    { headDim, rope, qkNorm }: Attention,
    weights: DecoderWeights,
    y: Pointer,
    rows: number,
    tokens: number,
    norm: Norm | undefined,
    angles: Angles | undefined,
  ): void {
    const engine = this.#engine
    if (norm && !qkNorm?.afterRope) normalise(engine, weights, norm, y, y, rows * headDim)
    if (rope && angles) {
      const pairs = rope.inverseFrequencies.length
      const interleaved = Number(rope.interleaved)
      engine.kernels.rope(y, angles.cos, angles.sin, tokens, rows / tokens, headDim, pairs, interleaved)
    }
    if (norm && qkNorm?.afterRope) normalise(engine, weights, norm, y, y, rows * headDim)
  }
}
