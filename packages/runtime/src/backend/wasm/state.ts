import { attentionOf, type Mixer } from '@reallm/tensor-io/models'
import type { State } from '../backend.ts'
import type { Engine } from './engine.ts'
import { FloatCache } from './float-cache.ts'
import type { KvCache } from './kv-cache.ts'
import { PagedCache } from './paged-cache.ts'

/** How keys and values are held: exactly, or with 8 bits and a scale for each position and head. */
export type KvForm = 'f32' | 'int8'

/** What the layers remember of one text. */
export class WasmState implements State {
  length = 0
  readonly #layers: readonly KvCache[]

  constructor(engine: Engine, mixers: readonly Mixer[], form: KvForm) {
    const Cache = form === 'f32' ? FloatCache : PagedCache
    this.#layers = mixers.map(mixer => new Cache(engine, attentionOf(mixer, 'the backend wasm')))
  }

  get bytes(): number {
    return this.#layers.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The keys and values of layer `i`. */
  cache(i: number): KvCache {
    return this.#layers[i]
  }

  /** Makes room for `positions` in all. */
  reserve(positions: number): void {
    for (const layer of this.#layers) layer.reserve(positions, this.length)
  }

  truncate(length: number): number {
    this.length = Math.min(this.length, length)
    return this.length
  }

  [Symbol.dispose](): void {
    this.length = 0
    for (const layer of this.#layers) layer.dispose()
  }
}
