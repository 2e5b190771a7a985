import { ReallmError } from '@reallm/tensor-io'
import type { Backend } from './backend.ts'
import type { GpuFinding } from './webgpu/find-gpu.ts'

/**
 * `wasm`: SIMD WebAssembly; `webgpu`: the GPU of a page, or of Node where the package `webgpu` is installed; `auto`: the quicker of
 * these, timed once; `reference`: plain TypeScript, slow and exact, for checks.
 */
export type Device = 'auto' | 'wasm' | 'webgpu' | 'reference'

export interface BackendOptions {
  readonly device?: Device | undefined
  readonly threads?: number | undefined
  /** How keys and values are held: `int8` is one byte on `wasm` and two, as floats, on `webgpu`; both are faster in long texts. */
  readonly kvCache?: 'f32' | 'int8' | undefined
}

/** Milliseconds that a pass may keep a page's main thread from painting. */
const PAGE_PAUSE = 30

/**
 * Starts a backend. A page fetches the code of the one that it runs.
 *
 * @throws `unsupported` for `webgpu` where there is no GPU; `bad-option` for other names
 */
export async function openBackend({ device = 'wasm', ...options }: BackendOptions): Promise<Backend> {
  if (device === 'reference') return (await import('./reference/reference-backend.ts')).referenceBackend()
  const pauseAfter = 'window' in globalThis ? PAGE_PAUSE : undefined
  const wasm = async () => (await import('./wasm/wasm-backend.ts')).wasmBackend({ ...options, pauseAfter })
  if (device === 'wasm') return wasm()
  const { openWebGpu } = await import('./webgpu/open.ts')
  const onGpu = () => openWebGpu(options.kvCache === 'f32')
  if (device === 'webgpu') return onGpu()
  if (device !== 'auto') throw new ReallmError('bad-option', `there is no device ${device}`)
  const { milliseconds } = await gpuBeside(wasm)
  return milliseconds && milliseconds.gpu < milliseconds.cpu ? onGpu() : wasm()
}

const gpuBeside = async (cpu: () => Promise<Backend>): Promise<GpuFinding> =>
  (await import('./webgpu/find-gpu.ts')).findGpuOnce(cpu)

/** What there is of a GPU for models, and how quick it is beside the CPU. */
export const findGpu = (): Promise<GpuFinding> =>
  gpuBeside(async () => (await import('./wasm/wasm-backend.ts')).wasmBackend())
