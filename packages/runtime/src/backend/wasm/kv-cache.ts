import type { Pointer } from '@reallm/kernels/inference'
import { attentionOf, type Mixer } from '@reallm/tensor-io/models'
import type { State } from '../backend.ts'
import type { Engine } from './engine.ts'

const FIRST_CAPACITY = 256

/** Keys and values of a layer, `[positions, width]` floats each. */
interface LayerCache {
  keys: Pointer
  values: Pointer
  readonly width: number
}

/** Keys and values of the tokens a model has read, layer by layer; `width` is `kvHeads · headDim`. Grows as needed. */
export class KvCache implements State {
  /** Positions filled; what lies behind is overwritten. */
  length = 0
  readonly layers: LayerCache[]
  readonly #engine: Engine
  #capacity = FIRST_CAPACITY

  constructor(engine: Engine, mixers: readonly Mixer[]) {
    this.#engine = engine
    this.layers = mixers.map(mixer => {
      const { kvHeads, headDim } = attentionOf(mixer, 'the backend wasm')
      const width = kvHeads * headDim
      return { keys: this.#allocate(width), values: this.#allocate(width), width }
    })
  }

  get bytes(): number {
    return this.layers.reduce((sum, { width }) => sum + 8 * this.#capacity * width, 0)
  }

  truncate(length: number): number {
    this.length = Math.min(this.length, length)
    return this.length
  }

  /** Makes room for `positions` in all. */
  reserve(positions: number): void {
    if (positions <= this.#capacity) return
    while (this.#capacity < positions) this.#capacity *= 2
    for (const layer of this.layers) {
      layer.keys = this.#moved(layer.keys, layer.width)
      layer.values = this.#moved(layer.values, layer.width)
    }
  }

  [Symbol.dispose](): void {
    this.length = 0
    for (const { keys, values } of this.layers.splice(0)) {
      this.#engine.arena.free(keys)
      this.#engine.arena.free(values)
    }
  }

  #allocate(width: number): Pointer {
    return this.#engine.allocateFloats(this.#capacity * width)
  }

  #moved(from: Pointer, width: number): Pointer {
    const { arena } = this.#engine
    const to = this.#allocate(width)
    const count = this.length * width
    arena.floats(to, count).set(arena.floats(from, count))
    arena.free(from)
    return to
  }
}
