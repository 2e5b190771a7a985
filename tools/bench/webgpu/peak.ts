/** How much memory of JavaScript a piece of work holds at most, looked at every few milliseconds and when told. */
export class Peak {
  #heap = 0
  #outside = 0
  readonly #before = process.memoryUsage()
  readonly #timer = setInterval(() => this.look(), 5)

  look(): void {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    this.#heap = Math.max(this.#heap, heapUsed)
    this.#outside = Math.max(this.#outside, arrayBuffers - this.#before.arrayBuffers)
  }

  /** Bytes of the heap, and of the array buffers that came with the work, the garbage among them. */
  stop(): { readonly heapBytes: number; readonly stagingBytes: number } {
    clearInterval(this.#timer)
    this.look()
    return { heapBytes: this.#heap, stagingBytes: this.#outside }
  }
}
