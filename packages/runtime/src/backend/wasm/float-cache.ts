import type { Pointer } from '@reallm/kernels/inference'
import type { Attention } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'
import type { Attending, KvCache } from './kv-cache.ts'

const FIRST_CAPACITY = 256

/** Keys and values `[positions, kvHeads · headDim]` in float32. */
export class FloatCache implements KvCache {
  readonly #engine: Engine
  readonly #kvHeads: number
  readonly #headDim: number
  readonly #width: number
  #capacity = FIRST_CAPACITY
  #keys: Pointer
  #values: Pointer

  constructor(engine: Engine, { kvHeads, headDim }: Pick<Attention, 'kvHeads' | 'headDim'>) {
    this.#engine = engine
    this.#kvHeads = kvHeads
    this.#headDim = headDim
    this.#width = kvHeads * headDim
    this.#keys = this.#allocate()
    this.#values = this.#allocate()
  }

  get bytes(): number {
    return 8 * this.#capacity * this.#width
  }

  reserve(positions: number, filled: number): void {
    if (positions <= this.#capacity) return
    while (this.#capacity < positions) this.#capacity *= 2
    this.#keys = this.#moved(this.#keys, filled)
    this.#values = this.#moved(this.#values, filled)
  }

  attend({ query, spec, own, to, tokens, position, sinks = 0 }: Attending): void {
    const { kernels, inference } = this.#engine
    const { heads, window = 0, scale, softcap = 0 } = spec
    if (own) {
      const floats = tokens * this.#width
      kernels.copy(this.#keys + 4 * position * this.#width, own.keys, floats)
      kernels.copy(this.#values + 4 * position * this.#width, own.values, floats)
    }
    const sizes = [tokens, heads, this.#kvHeads, this.#headDim, position, window, scale, softcap] as const
    const stride = position + tokens + 4
    const scores = this.#engine.scratchBytes('scores', 8 * inference.threads * stride)
    kernels.attention(query, this.#keys, this.#values, to, ...sizes, scores, stride, sinks)
  }

  dispose(): void {
    this.#engine.arena.free(this.#keys)
    this.#engine.arena.free(this.#values)
  }

  #allocate(): Pointer {
    return this.#engine.allocateFloats(this.#capacity * this.#width)
  }

  #moved(from: Pointer, filled: number): Pointer {
    const { arena } = this.#engine
    const to = this.#allocate()
    const count = filled * this.#width
    arena.floats(to, count).set(arena.floats(from, count))
    arena.free(from)
    return to
  }
}
