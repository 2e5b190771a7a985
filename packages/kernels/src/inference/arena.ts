import { ReallmError } from '@reallm/tensor-io'
import type { Pointer } from './kernels.ts'

const PAGE = 65536
/** Pages to grow by: growing is slow, because the engine collects garbage each time, and untouched pages cost nothing. */
const GROWTH = 1024
const ALIGNMENT = 64
/** The module uses the memory below. */
const FIRST: Pointer = 8192

/** First-fit allocation in a WebAssembly memory that grows as needed. */
export class Arena {
  readonly memory: WebAssembly.Memory
  readonly #sizes = new Map<Pointer, number>()
  /** Free blocks, sorted by address, never touching each other. */
  #free: { at: Pointer; bytes: number }[] = []
  #end: Pointer = FIRST

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory
  }

  /** Bytes handed out. */
  get used(): number {
    let total = 0
    for (const bytes of this.#sizes.values()) total += bytes
    return total
  }

  /** Zeroed bytes, aligned to a cache line. Throws `bad-option` when the memory cannot grow to hold them. */
  allocate(bytes: number): Pointer {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT)
    const index = this.#free.findIndex(block => block.bytes >= size)
    let at: Pointer
    if (index >= 0) {
      const block = this.#free[index]
      at = block.at
      if (block.bytes === size) this.#free.splice(index, 1)
      else this.#free[index] = { at: at + size, bytes: block.bytes - size }
    } else {
      at = this.#end
      this.#grow(at + size)
      this.#end = at + size
    }
    this.#sizes.set(at, size)
    if (index >= 0) this.bytes(at, size).fill(0)
    return at
  }

  free(at: Pointer): void {
    const bytes = this.#sizes.get(at)
    if (bytes === undefined) throw new ReallmError('bad-option', `nothing is allocated at ${at}`)
    this.#sizes.delete(at)
    this.#free.push({ at, bytes })
    this.#free.sort((a, b) => a.at - b.at)
    this.#free = this.#free.reduce<{ at: Pointer; bytes: number }[]>((merged, block) => {
      const last = merged.at(-1)
      if (last && last.at + last.bytes === block.at) last.bytes += block.bytes
      else merged.push({ ...block })
      return merged
    }, [])
  }

  /** A view that is valid until the next allocation. */
  floats(at: Pointer, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.memory.buffer as ArrayBuffer, at, length)
  }

  /** A view that is valid until the next allocation. */
  bytes(at: Pointer, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer as ArrayBuffer, at, length)
  }

  /** A view that is valid until the next allocation. */
  words(at: Pointer, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.memory.buffer as ArrayBuffer, at, length)
  }

  #grow(end: number): void {
    const missing = end - this.memory.buffer.byteLength
    if (missing <= 0) return
    const pages = Math.ceil(missing / PAGE)
    if (pages < GROWTH && this.#grew(GROWTH)) return
    try {
      this.memory.grow(pages)
    } catch (cause) {
      throw new ReallmError('bad-option', `no memory for ${Math.ceil(end / 2 ** 20)} MiB`, {
        cause,
        hint: "take a smaller model or a shorter context; in code, load with weights: 'packed'",
      })
    }
  }

  #grew(pages: number): boolean {
    try {
      this.memory.grow(pages)
      return true
    } catch {
      return false
    }
  }
}
