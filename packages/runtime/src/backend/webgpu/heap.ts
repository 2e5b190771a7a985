import type { Device } from './device.ts'

/** Where words lie: in a buffer that others share. */
export interface Place {
  readonly buffer: GPUBuffer
  /** In words. */
  readonly at: number
}

interface Page {
  readonly buffer: GPUBuffer
  used: number
  blobs: number
}

const PAGE_BYTES = 2 ** 26
/** Bytes on their way to the device at most: what is copied lies in memory until it has arrived. */
const PENDING_BYTES = 2 ** 26

/** Weights in few large buffers: matrices that come one after another can be multiplied by in one dispatch. */
export class Heap {
  readonly #device: Device
  #page: Page | undefined
  #pending = 0
  readonly #pages = new Map<GPUBuffer, Page>()

  constructor(device: Device) {
    this.#device = device
  }

  /** Copies `words`, which are made for the place they get. */
  async place(count: number, words: (at: number) => Uint32Array<ArrayBuffer>): Promise<Place> {
    const { gpu, bindingBytes } = this.#device
    const bytes = 4 * count
    if (!this.#page || this.#page.used + bytes > this.#page.buffer.size) {
      const size = Math.max(bytes, Math.min(PAGE_BYTES, bindingBytes))
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST
      const buffer = await this.#device.buffer(size, usage, 'a piece of the weights')
      this.#page = { buffer, used: 0, blobs: 0 }
      this.#pages.set(buffer, this.#page)
    }
    const page = this.#page
    const at = page.used / 4
    gpu.queue.writeBuffer(page.buffer, page.used, words(at))
    page.used += bytes
    this.#pending += bytes
    if (this.#pending > PENDING_BYTES) {
      await gpu.queue.onSubmittedWorkDone()
      this.#pending = 0
    }
    page.blobs++
    return { buffer: page.buffer, at }
  }

  /** Gives a buffer back when nothing is left in it. */
  free({ buffer }: Place): void {
    const page = this.#pages.get(buffer)
    if (!page || --page.blobs > 0) return
    this.#pages.delete(buffer)
    if (this.#page === page) this.#page = undefined
    this.#device.free(buffer)
  }
}
