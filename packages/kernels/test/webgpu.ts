import { dawn } from './dawn.ts'

/** A device with all that the adapter has: a GPU's, or SwiftShader where `vitest.config.ts` found it; undefined without one. */
export async function testDevice(): Promise<GPUDevice | undefined> {
  const adapter = await (await dawn('vulkan')).requestAdapter()
  if (!adapter) {
    console.warn('no WebGPU adapter: install chromium for its SwiftShader; these tests are skipped')
    return undefined
  }
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize } = adapter.limits
  const requiredLimits = { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize }
  return adapter.requestDevice({ requiredLimits })
}

/** Buffers of a kernel by binding; those given as a number of floats are written by it and returned. */
export type KernelData = readonly (Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer> | number)[]

/** Runs a shader's \`main\` once and returns what it wrote, in the order of the bindings. */
export async function runKernel(
  device: GPUDevice,
  code: string,
  data: KernelData,
  workgroups: readonly [x: number, y?: number, z?: number],
): Promise<Float32Array[]> {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code })
  const compute = { module, entryPoint: 'main' }
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute })
  const buffers = data.map(values => {
    const size = typeof values === 'number' ? 4 * values : values.byteLength
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    const buffer = device.createBuffer({ size: Math.max(16, size), usage })
    if (typeof values !== 'number') device.queue.writeBuffer(buffer, 0, values)
    return buffer
  })
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }))
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }))
  pass.dispatchWorkgroups(...workgroups)
  pass.end()
  const reads = buffers.flatMap((buffer, b) => {
    if (typeof data[b] !== 'number') return []
    const copy = device.createBuffer({
      size: buffer.size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    })
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size)
    return [{ copy, count: data[b] as number }]
  })
  device.queue.submit([encoder.finish()])
  const error = await device.popErrorScope()
  if (error) throw new Error(error.message)
  return Promise.all(
    reads.map(async ({ copy, count }) => {
      await copy.mapAsync(GPUMapMode.READ)
      return new Float32Array(copy.getMappedRange().slice(0, 4 * count))
    }),
  )
}
