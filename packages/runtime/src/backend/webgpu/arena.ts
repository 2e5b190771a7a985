/** Places in a buffer whose size is not yet known, handed out while a program is compiled and given back for what comes later. */
export class Arena {
  /** Floats in all. */
  size = 0
  readonly #free = new Map<number, number[]>()

  take(floats: number): Region {
    const size = 64 * Math.ceil(floats / 64)
    const known = this.#free.get(size)?.pop()
    if (known !== undefined) return { at: known, size }
    const at = this.size
    this.size += size
    return { at, size }
  }

  give({ at, size }: Region): void {
    const free = this.#free.get(size) ?? []
    this.#free.set(size, [...free, at])
  }
}

/** Floats `at` to `at + size` (exclusive). */
export interface Region {
  readonly at: number
  readonly size: number
}

/** Words that kernels read and nobody writes: each array once, whoever needs it. */
export class Constants {
  readonly #places = new Map<object, number>()
  readonly #arrays: Uint32Array[] = []
  size = 0

  place(values: Float32Array | Uint32Array): number {
    const known = this.#places.get(values)
    if (known !== undefined) return known
    const at = this.size
    this.#places.set(values, at)
    this.#arrays.push(new Uint32Array(values.buffer, values.byteOffset, values.length))
    this.size += values.length
    return at
  }

  words(): Uint32Array<ArrayBuffer> {
    const all = new Uint32Array(Math.max(4, this.size))
    let at = 0
    for (const array of this.#arrays) {
      all.set(array, at)
      at += array.length
    }
    return all
  }
}
