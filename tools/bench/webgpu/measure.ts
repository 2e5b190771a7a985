import type { WebGpuBackend } from '../../../packages/runtime/src/backend/webgpu/backend.ts'
import type { GpuProgram } from '../../../packages/runtime/src/backend/webgpu/program.ts'
import type { GpuState } from '../../../packages/runtime/src/backend/webgpu/state.ts'
import type { TransformerConfig } from '../../../packages/tensor-io/src/models/index.ts'
import { trafficOf } from './traffic.ts'

export interface Speed {
  readonly context: number
  /** Tokens per second; the prompt's are read up to `context`. */
  readonly prompt: number
  readonly decode: number
  readonly milliseconds: number
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Speed of reading a prompt of each length, and of the tokens after it, `tokens` of them. */
export async function measureSpeed(
  backend: WebGpuBackend,
  program: GpuProgram,
  config: TransformerConfig,
  contexts: readonly number[],
  tokens: number,
): Promise<Speed[]> {
  const results: Speed[] = []
  for (const context of contexts) {
    using state = backend.state(config.layerSpecs.map(({ mixer }) => mixer))
    const length = context + 2 * tokens
    const read = async () => {
      state.truncate(0)
      for (let from = 0; from < context; from += backend.batch) {
        const ids = Array.from(
          { length: Math.min(backend.batch, context - from) },
          (_, i) => (7 * (from + i)) % 1000,
        )
        await program.read({ ids, state, length })
      }
      await backend.device.gpu.queue.onSubmittedWorkDone()
    }
    await read()
    const prompt = await seconds(read)
    const draws = new Array<number>(tokens).fill(0.5)
    const decode = () => program.sample({ ids: [5], state, length }, { options: {}, previous: [], draws })
    await decode()
    state.truncate(context)
    const decoded = await seconds(decode)
    results.push({
      ...{ context, prompt: context / prompt, decode: tokens / decoded },
      milliseconds: (1000 * decoded) / tokens,
    })
  }
  return results
}

export interface KernelTime {
  readonly name: string
  readonly dispatches: number
  /** Of a token, on the device. */
  readonly microseconds: number
  readonly weightBytes: number
  readonly gigabytesPerSecond: number
}

/** Time of each kind of kernel in a token, by the device's clock; undefined where it has none. */
export async function measureKernels(
  { device: { gpu } }: WebGpuBackend,
  program: GpuProgram,
  state: GpuState,
  parts: number,
): Promise<KernelTime[] | undefined> {
  if (!gpu.features.has('timestamp-query')) return undefined
  const dispatches = await program.dispatches()
  const count = 2 * dispatches.length
  const querySet = gpu.createQuerySet({ type: 'timestamp', count })
  const resolved = gpu.createBuffer({
    size: 8 * count,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  })
  const read = gpu.createBuffer({ size: 8 * count, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
  const times = new Map<string, { microseconds: number; dispatches: number; weightBytes: number }>()
  const rounds = 3
  for (let round = -1; round < rounds; round++) {
    const encoder = gpu.createCommandEncoder()
    for (const [i, dispatch] of dispatches.entries()) {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }
      const pass = encoder.beginComputePass({ timestampWrites })
      pass.setPipeline(dispatch.pipeline)
      pass.setBindGroup(0, dispatch.group(state))
      pass.dispatchWorkgroups(...dispatch.workgroups(1, parts))
      pass.end()
    }
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0)
    encoder.copyBufferToBuffer(resolved, 0, read, 0, 8 * count)
    gpu.queue.submit([encoder.finish()])
    await read.mapAsync(GPUMapMode.READ)
    const stamps = new BigUint64Array(read.getMappedRange().slice(0))
    read.unmap()
    if (round < 0) continue
    for (const [i, prepared] of program.prepared.entries()) {
      const { name } = prepared
      const time = times.get(name) ?? { microseconds: 0, dispatches: 0, weightBytes: 0 }
      times.set(name, time)
      time.microseconds += Number(stamps[2 * i + 1] - stamps[2 * i]) / 1000 / rounds
      if (round > 0) continue
      time.dispatches++
      time.weightBytes += trafficOf(prepared, 1).weights
    }
  }
  return [...times].map(([name, time]) => ({
    ...{ name, ...time },
    gigabytesPerSecond: time.weightBytes / time.microseconds / 1000,
  }))
}
