import { ReallmError } from '@reallm/tensor-io'
import { attentionOf, type Mixer } from '@reallm/tensor-io/models'
import type { State } from '../backend.ts'
import type { Device } from './device.ts'

const FIRST_CAPACITY = 256

/** Keys and values on the device, a buffer for each layer: `[2, capacity, kvHeads · headDim]`. */
export class GpuState implements State {
  length = 0
  capacity = 0
  /** Changes when buffers do. */
  buffers: readonly GPUBuffer[] = []
  readonly #device: Device
  readonly #widths: readonly number[]
  readonly #valueBytes: number
  #isFree = false

  constructor(device: Device, mixers: readonly Mixer[], valueBytes: 2 | 4) {
    this.#device = device
    this.#widths = mixers.map(mixer => {
      const { kvHeads, headDim } = attentionOf(mixer, 'the WebGPU backend')
      return kvHeads * headDim
    })
    this.#valueBytes = valueBytes
  }

  get bytes(): number {
    return this.buffers.reduce((sum, { size }) => sum + size, 0)
  }

  truncate(length: number): number {
    this.length = Math.min(this.length, length)
    return this.length
  }

  /** Makes room for so many positions, keeping what is there. */
  async reserve(positions: number): Promise<void> {
    if (this.#isFree) throw new ReallmError('bad-option', 'this session has been disposed of')
    if (positions <= this.capacity) return
    let capacity = Math.max(FIRST_CAPACITY, this.capacity)
    while (capacity < positions) capacity *= 2
    const { gpu } = this.#device
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    const grown: GPUBuffer[] = []
    const encoder = gpu.createCommandEncoder()
    for (const [i, width] of this.#widths.entries()) {
      const half = capacity * width * this.#valueBytes
      const buffer = await this.#device.buffer(2 * half, usage, `the memory of ${capacity} positions`)
      const before = this.capacity * width * this.#valueBytes
      if (this.length > 0) {
        const filled = this.length * width * this.#valueBytes
        encoder.copyBufferToBuffer(this.buffers[i], 0, buffer, 0, filled)
        encoder.copyBufferToBuffer(this.buffers[i], before, buffer, half, filled)
      }
      grown.push(buffer)
    }
    gpu.queue.submit([encoder.finish()])
    for (const buffer of this.buffers) this.#device.free(buffer)
    this.buffers = grown
    this.capacity = capacity
  }

  [Symbol.dispose](): void {
    if (this.#isFree) return
    this.#isFree = true
    for (const buffer of this.buffers) this.#device.free(buffer)
    this.buffers = []
  }
}
