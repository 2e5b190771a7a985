import type { KernelFeatures } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'

/** Kernels for one vector are made for so many invocations where a device allows it. */
const LARGE_WORKGROUP = 1024

/** A GPU with what is known of it, its compiled kernels and the bytes that its buffers take. */
export class Device {
  readonly gpu: GPUDevice
  /** Vendor, architecture and features, for reports. */
  readonly description: string
  /** Whether it is a program that only looks like a GPU. */
  readonly isSoftware: boolean
  /** Bytes of a binding at most. */
  readonly bindingBytes: number
  readonly workgroupBytes: number
  readonly largeWorkgroup: number
  /** What it has; what of it kernels use is measured. */
  readonly features: KernelFeatures
  bytes = 0
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>()
  #lost: string | undefined
  #isClosed = false

  /** @param language features of WGSL */
  constructor(gpu: GPUDevice, info: GPUAdapterInfo, language: ReadonlySet<string> = new Set()) {
    this.gpu = gpu
    const { limits, features } = gpu
    this.features = {
      subgroups: features.has('subgroups') ? (info.subgroupMinSize ?? 0) : 0,
      f16: features.has('shader-f16'),
      integerDots: language.has('packed_4x8_integer_dot_product'),
    }
    this.description = describe(info, features)
    this.isSoftware =
      info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${info.architecture} ${info.description}`)
    this.bindingBytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize)
    this.workgroupBytes = limits.maxComputeWorkgroupStorageSize
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = limits
    this.largeWorkgroup = Math.min(
      LARGE_WORKGROUP,
      maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX,
    )
    void gpu.lost.then(({ message }) => {
      if (!this.#isClosed) this.#lost = message || 'no reason was given'
    })
  }

  /** Throws where the GPU is gone, telling the way back. */
  check(): void {
    if (this.#isClosed) throw new ReallmError('bad-option', 'this model has been disposed of')
    if (this.#lost !== undefined) {
      throw new ReallmError('unsupported', `the GPU was lost: ${this.#lost}`, {
        hint: "load the model again, or load it with device: 'wasm'",
      })
    }
  }

  /** A buffer of zeros; throws `bad-option` with its size where the GPU has no room for it. */
  async buffer(bytes: number, usage: number, what: string): Promise<GPUBuffer> {
    this.check()
    const size = Math.max(16, 4 * Math.ceil(bytes / 4))
    if (size > this.gpu.limits.maxBufferSize) throw tooLarge(what, size, 'a buffer can have')
    this.gpu.pushErrorScope('out-of-memory')
    this.gpu.pushErrorScope('validation')
    const buffer = this.gpu.createBuffer({ size, usage })
    const problems = [await this.gpu.popErrorScope(), await this.gpu.popErrorScope()]
    this.check()
    if (problems.some(problem => problem !== null)) throw tooLarge(what, size, 'the GPU has left')
    this.bytes += size
    return buffer
  }

  free(buffer: GPUBuffer): void {
    this.bytes -= buffer.size
    buffer.destroy()
  }

  /** The compiled kernel; the same code is compiled once. */
  pipeline(code: string): Promise<GPUComputePipeline> {
    const known = this.#pipelines.get(code)
    if (known) return known
    const module = this.gpu.createShaderModule({ code })
    const made = this.gpu.createComputePipelineAsync({
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
    })
    this.#pipelines.set(code, made)
    return made
  }

  close(): void {
    this.#isClosed = true
    this.gpu.destroy()
  }
}

const tooLarge = (what: string, size: number, limit: string) =>
  new ReallmError('bad-option', `${what} takes ${Math.ceil(size / 2 ** 20)} MiB, more than ${limit}`, {
    hint: "close other pages and programs that use the GPU, choose a smaller model, or load it with device: 'wasm'",
  })

function describe(info: GPUAdapterInfo, features: ReadonlySet<string>): string {
  const names = [info.vendor, info.architecture, info.description || info.device].filter(Boolean).join(' ')
  const used = ['shader-f16', 'subgroups'].filter(name => features.has(name))
  return `${names || 'GPU'}${used.length > 0 ? ` (${used.join(', ')})` : ''}`
}
