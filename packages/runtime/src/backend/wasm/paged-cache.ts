import { PAGE_POSITIONS, type Pointer, pageBytes } from '@reallm/kernels/inference'
import type { Attention } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'
import type { Attending, KvCache } from './kv-cache.ts'

const FIRST_LIST = 16

/** Keys and values of 8 bits, in pages: a text that grows takes pages, and nothing is moved. */
export class PagedCache implements KvCache {
  readonly #engine: Engine
  readonly #kvHeads: number
  readonly #headDim: number
  readonly #pageBytes: number
  readonly #pages: Pointer[] = []
  /** The pages' addresses, where the kernels find them. */
  #list: Pointer
  #listed = FIRST_LIST

  constructor(engine: Engine, { kvHeads, headDim }: Pick<Attention, 'kvHeads' | 'headDim'>) {
    this.#engine = engine
    this.#kvHeads = kvHeads
    this.#headDim = headDim
    this.#pageBytes = pageBytes(kvHeads, headDim)
    this.#list = engine.arena.allocate(4 * FIRST_LIST)
  }

  get bytes(): number {
    return this.#pages.length * this.#pageBytes + 4 * this.#listed
  }

  reserve(positions: number): void {
    const { arena } = this.#engine
    const before = this.#pages.length
    while (this.#pages.length * PAGE_POSITIONS < positions) this.#pages.push(arena.allocate(this.#pageBytes))
    if (this.#pages.length === before) return
    if (this.#pages.length > this.#listed) {
      while (this.#listed < this.#pages.length) this.#listed *= 2
      arena.free(this.#list)
      this.#list = arena.allocate(4 * this.#listed)
    }
    const addresses = Uint32Array.from(this.#pages)
    arena.bytes(this.#list, addresses.byteLength).set(new Uint8Array(addresses.buffer))
  }

  attend({ query, spec, own, to, tokens, position }: Attending): void {
    const { kernels, inference } = this.#engine
    const { heads, window = 0, scale, softcap = 0 } = spec
    const [kvHeads, headDim] = [this.#kvHeads, this.#headDim]
    if (own) kernels.appendToPages(own.keys, own.values, this.#list, tokens, kvHeads, headDim, position)
    const scratch = this.#engine.scratchBytes('pages', inference.threads * kernels.pagedScratch(headDim))
    const sizes = [tokens, heads, kvHeads, headDim, position, window, scale, softcap] as const
    kernels.pagedAttention(query, this.#list, to, ...sizes, scratch)
  }

  dispose(): void {
    for (const page of this.#pages.splice(0)) this.#engine.arena.free(page)
    this.#engine.arena.free(this.#list)
  }
}
