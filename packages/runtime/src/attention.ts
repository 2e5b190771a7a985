import type { Pointer } from '@reallm/kernels/inference'
import {
  type Attention,
  type Norm,
  type Rope,
  rotations,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { type Activations, BATCH, type Engine } from './engine.ts'
import type { KvCache } from './kv-cache.ts'
import { type DecoderWeights, normalise, projectAll } from './weights.ts'

/** cos and sin `[BATCH, pairs]` of the positions at hand. */
interface Angles {
  readonly cos: Pointer
  readonly sin: Pointer
}

/** Attention of all layers of a model, over the cache of a session. */
export class AttentionMixer {
  readonly #engine: Engine
  readonly #angles = new Map<Rope, { readonly queries: Angles; readonly keys: Angles }>()
  #scoresStride = 256

  constructor(engine: Engine, { layerSpecs }: TransformerConfig) {
    this.#engine = engine
    for (const { mixer } of layerSpecs) {
      const { rope } = mixer
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
    while (this.#scoresStride < position + tokens + 4) this.#scoresStride *= 2
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
    const { kernels, inference } = engine
    const { heads, kvHeads, headDim, rope, qkNorm } = spec
    const position = cache.length
    const { keys, values } = cache.layers[i]
    const offset = 4 * position * kvHeads * headDim
    const [k, v] = [keys + offset, values + offset]
    const q = engine.scratchBytes('queries', 4 * BATCH * heads * headDim)
    const wanted = [
      { of: spec.query, to: q },
      { of: spec.key, to: k },
      { of: spec.value, to: v },
    ]
    projectAll(engine, weights, wanted, x, tokens)
    const place = (y: Pointer, count: number, norm: Norm | undefined, angles: Angles | undefined) => {
      const normed = () => norm && normalise(engine, weights, norm, y, y, tokens * count * headDim)
      if (!qkNorm?.afterRope) normed()
      if (rope && angles) {
        const pairs = rope.inverseFrequencies.length
        kernels.rope(y, angles.cos, angles.sin, tokens, count, headDim, pairs, Number(rope.interleaved))
      }
      if (qkNorm?.afterRope) normed()
    }
    const angles = rope && this.#angles.get(rope)
    place(q, heads, qkNorm?.query, angles?.queries)
    place(k, kvHeads, qkNorm?.key, angles?.keys)
    const attended = engine.scratch('attended', heads * headDim)
    const scores = engine.scratchBytes('scores', 4 * inference.threads * this.#scoresStride)
    kernels.attention(
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
      scores,
      this.#scoresStride,
    )
    return attended
  }
}
