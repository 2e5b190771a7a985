import { ReallmError } from '@reallm/tensor-io'
import type { CausalConv, Mixer } from '@reallm/tensor-io/models'
import type { State } from '../backend.ts'
import type { Device } from './device.ts'

const FIRST_CAPACITY = 256

/** Floats of the inputs that a convolution sees again. */
export const convolutionFloats = ({ kernel, channels }: CausalConv): number => (kernel - 1) * channels

/** What a layer remembers: as many keys and as many values of a position, and floats whatever the length. */
function sizeOf(mixer: Mixer): { readonly width: number; readonly floats: number } {
  if (mixer.kind === 'attention') return { width: mixer.kvHeads * mixer.headDim, floats: 0 }
  if (mixer.kind === 'shared-attention') return { width: 0, floats: 0 }
  const inputs = convolutionFloats(mixer.conv)
  if (mixer.kind === 'short-conv') return { width: 0, floats: inputs }
  const matrix = mixer.kind === 'mamba2' ? mixer.stateDim * mixer.headDim : mixer.keyDim * mixer.valueDim
  return { width: 0, floats: inputs + mixer.heads * matrix }
}

/**
 * What the layers remember on the device, a buffer for each: keys and values, `[2, capacity, kvHeads · headDim]`; or the last inputs
 * of a convolution and the heads' matrices, in float32; or nothing, where keys and values are another layer's.
 */
export class GpuState implements State {
  length = 0
  capacity = 0
  /** Changes when buffers do. */
  buffers: readonly GPUBuffer[] = []
  readonly #device: Device
  readonly #sizes: readonly ReturnType<typeof sizeOf>[]
  readonly #valueBytes: number
  #isStale = false
  #isFree = false

  constructor(device: Device, mixers: readonly Mixer[], valueBytes: 2 | 4) {
    this.#device = device
    this.#sizes = mixers.map(sizeOf)
    this.#valueBytes = valueBytes
  }

  get bytes(): number {
    return this.buffers.reduce((sum, { size }) => sum + size, 0)
  }

  truncate(length: number): number {
    if (length >= this.length) return this.length
    this.#isStale = this.#sizes.some(({ floats }) => floats > 0)
    this.length = this.#isStale ? 0 : length
    return this.length
  }

  /** Makes room for so many positions, keeping what is there. */
  async reserve(positions: number): Promise<void> {
    if (this.#isFree) throw new ReallmError('bad-option', 'this session has been disposed of')
    if (this.#isStale) this.#clear()
    if (positions <= this.capacity) return
    let capacity = Math.max(FIRST_CAPACITY, this.capacity)
    while (capacity < positions) capacity *= 2
    const { gpu } = this.#device
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    const grown: GPUBuffer[] = []
    const encoder = gpu.createCommandEncoder()
    const before = this.buffers
    for (const [i, { width, floats }] of this.#sizes.entries()) {
      if (width === 0 && before.length > 0) {
        grown.push(before[i])
        continue
      }
      const half = capacity * width * this.#valueBytes
      const what = `the memory of ${capacity} positions`
      const buffer = await this.#device.buffer(2 * half + 4 * floats, usage, what)
      if (this.length > 0) {
        const [filled, from] = [this.length, this.capacity].map(count => count * width * this.#valueBytes)
        encoder.copyBufferToBuffer(before[i], 0, buffer, 0, filled)
        encoder.copyBufferToBuffer(before[i], from, buffer, half, filled)
      }
      grown.push(buffer)
    }
    gpu.queue.submit([encoder.finish()])
    for (const buffer of before) if (!grown.includes(buffer)) this.#device.free(buffer)
    this.buffers = grown
    this.capacity = capacity
  }

  [Symbol.dispose](): void {
    if (this.#isFree) return
    this.#isFree = true
    for (const buffer of this.buffers) this.#device.free(buffer)
    this.buffers = []
  }

  /** Forgets what has no length. */
  #clear(): void {
    const encoder = this.#device.gpu.createCommandEncoder()
    for (const [i, { floats }] of this.#sizes.entries()) {
      if (floats > 0 && this.buffers.length > 0) encoder.clearBuffer(this.buffers[i])
    }
    this.#device.gpu.queue.submit([encoder.finish()])
    this.#isStale = false
  }
}
