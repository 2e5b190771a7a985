import type { Pointer } from '@reallm/kernels/inference'
import type { TransformerConfig } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'

const FIRST_CAPACITY = 256

/** Keys and values of the tokens a model has read, per layer `[positions, kvHeads · headDim]` floats. Grows as needed. */
export class KvCache {
  /** Positions filled; what lies behind is overwritten. */
  length = 0
  readonly layers: { keys: Pointer; values: Pointer }[]
  readonly #engine: Engine
  readonly #width: number
  #capacity = FIRST_CAPACITY

  constructor(engine: Engine, { layers, kvHeads, headDim }: TransformerConfig) {
    this.#engine = engine
    this.#width = kvHeads * headDim
    this.layers = Array.from({ length: layers }, () => ({ keys: this.#allocate(), values: this.#allocate() }))
  }

  get bytes(): number {
    return 8 * this.layers.length * this.#capacity * this.#width
  }

  /** Makes room for `positions` in all. */
  reserve(positions: number): void {
    if (positions <= this.#capacity) return
    while (this.#capacity < positions) this.#capacity *= 2
    for (const layer of this.layers) {
      layer.keys = this.#moved(layer.keys)
      layer.values = this.#moved(layer.values)
    }
  }

  free(): void {
    for (const { keys, values } of this.layers.splice(0)) {
      this.#engine.arena.free(keys)
      this.#engine.arena.free(values)
    }
  }

  #allocate(): Pointer {
    return this.#engine.allocateFloats(this.#capacity * this.#width)
  }

  #moved(from: Pointer): Pointer {
    const { arena } = this.#engine
    const to = this.#allocate()
    const count = this.length * this.#width
    arena.floats(to, count).set(arena.floats(from, count))
    arena.free(from)
    return to
  }
}
