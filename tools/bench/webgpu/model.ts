import type { WebGpuBackend } from '../../../packages/runtime/src/backend/webgpu/backend.ts'
import { decoderOps } from '../../../packages/runtime/src/decoder-ops.ts'
import { loadWeights } from '../../../packages/runtime/src/load-weights.ts'
import { openModel } from '../../../packages/tensor-io/src/index.ts'
import { openWeights } from '../../../packages/tensor-io/src/models/index.ts'
import { type Count, countToken } from './count.ts'
import { type KernelTime, measureKernels, measureSpeed, type Speed } from './measure.ts'
import { Peak } from './peak.ts'

/** What was counted and measured of a model. */
export interface ModelResult {
  readonly model: string
  readonly counts: readonly (Count & { readonly context: number })[]
  readonly load: {
    readonly seconds: number
    /** Largest that the heap, and memory outside of it that the heap holds, became while weights were read. */
    readonly heapBytes: number
    readonly stagingBytes: number
    readonly deviceBytes: number
  }
  /** Of a real GPU. */
  readonly speed: readonly Speed[]
  readonly kernels: readonly KernelTime[] | undefined
}

/** Loads a model, counts what a token costs at each context, and times tokens where there is a GPU. */
export async function measureModel(
  backend: WebGpuBackend,
  model: string,
  where: string,
  contexts: readonly number[],
  tokens: number,
): Promise<ModelResult> {
  const files = await openModel(where)
  const source = await openWeights(files)
  const { config } = source
  const peak = new Peak()
  const started = performance.now()
  const weights = await loadWeights(backend, source, {
    ...{ form: 'packed', onProgress: () => peak.look() },
  }).finally(() => files.close())
  const seconds = (performance.now() - started) / 1000
  const { heapBytes, stagingBytes } = peak.stop()
  using program = await backend.program(await decoderOps(config, weights))
  const counts = contexts.map(context => ({ context, ...countToken(program, source, context) }))
  const isGpu = !backend.device.isSoftware
  const speed = isGpu ? await measureSpeed(backend, program, config, contexts, tokens) : []
  using state = backend.state(config.layerSpecs.map(({ mixer }) => mixer))
  if (isGpu) await program.logits({ ids: [1], state, length: 1 }, 'last')
  const kernels = isGpu ? await measureKernels(backend, program, state, 1) : undefined
  const load = { seconds, heapBytes, stagingBytes, deviceBytes: backend.bytes }
  const all = [...[...weights.modules.values()].map(({ weight }) => weight), weights.embedding]
  for (const weight of new Set([...all, weights.head])) weight[Symbol.dispose]()
  return { model, counts, load, speed, kernels }
}
