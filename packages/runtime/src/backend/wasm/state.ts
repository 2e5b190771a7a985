import type { Mixer } from '@reallm/tensor-io/models'
import type { State } from '../backend.ts'
import type { Engine } from './engine.ts'
import { FloatCache } from './float-cache.ts'
import type { KvCache } from './kv-cache.ts'
import { PagedCache } from './paged-cache.ts'
import { RecurrentMemory } from './recurrent-memory.ts'

/** How keys and values are held: exactly, or with 8 bits and a scale for each position and head. */
export type KvForm = 'f32' | 'int8'

/** What the layers remember of one text. Where some do not attend, it cannot go back. */
export class WasmState implements State {
  length = 0
  readonly #engine: Engine
  readonly #caches = new Map<number, KvCache>()
  readonly #memories = new Map<number, RecurrentMemory>()

  constructor(engine: Engine, mixers: readonly Mixer[], form: KvForm) {
    this.#engine = engine
    for (const [i, mixer] of mixers.entries()) {
      // The kernels over pages know no sinks.
      const Cache = form === 'f32' || ('sinks' in mixer && mixer.sinks) ? FloatCache : PagedCache
      if (mixer.kind === 'attention') this.#caches.set(i, new Cache(engine, mixer))
      else if (mixer.kind !== 'shared-attention') this.#memories.set(i, new RecurrentMemory(engine, mixer))
    }
  }

  get bytes(): number {
    return this.#layers.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The keys and values of layer `i`, which attends. */
  cache(i: number): KvCache {
    return this.#caches.get(i)!
  }

  /** What layer `i` keeps, which does not attend. */
  memory(i: number): RecurrentMemory {
    return this.#memories.get(i)!
  }

  /** Makes room for `positions` in all. */
  reserve(positions: number): void {
    for (const cache of this.#caches.values()) cache.reserve(positions, this.length)
  }

  truncate(length: number): number {
    if (length >= this.length) return this.length
    this.length = this.#memories.size > 0 ? 0 : length
    for (const memory of this.#memories.values()) memory.clear()
    return this.length
  }

  [Symbol.dispose](): void {
    this.length = 0
    this.#engine.turns.afterwards(() => {
      for (const layer of this.#layers) layer.dispose()
    })
  }

  get #layers(): readonly (KvCache | RecurrentMemory)[] {
    return [...this.#caches.values(), ...this.#memories.values()]
  }
}
