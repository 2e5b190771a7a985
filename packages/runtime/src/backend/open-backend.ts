import type { Backend } from './backend.ts'
import type { GpuFinding } from './webgpu/open.ts'

/**
 * `wasm`: SIMD WebAssembly; `webgpu`: the GPU of a page, or of Node where the package `webgpu` is installed; `auto`: the quicker of
 * these, timed once; `reference`: plain TypeScript, slow and exact, for checks.
 */
export type Device = 'auto' | 'wasm' | 'webgpu' | 'reference'

export interface BackendOptions {
  readonly device?: Device | undefined
  readonly threads?: number | undefined
  /** How `wasm` holds keys and values: `int8` takes a quarter of `f32`, and is faster in long texts. */
  readonly kvCache?: 'f32' | 'int8' | undefined
}

/** Milliseconds that a pass may keep a page's main thread from painting. */
const PAGE_PAUSE = 30

/**
 * Starts a backend. A page fetches the code of the one that it runs.
 *
 * @throws `unsupported` for `webgpu` where there is no GPU
 */
export async function openBackend({ device = 'wasm', ...options }: BackendOptions): Promise<Backend> {
  if (device === 'reference') return (await import('./reference/reference-backend.ts')).referenceBackend()
  const pauseAfter = 'window' in globalThis ? PAGE_PAUSE : undefined
  const wasm = async () => (await import('./wasm/wasm-backend.ts')).wasmBackend({ ...options, pauseAfter })
  if (device === 'wasm') return wasm()
  const { findGpuOnce, openWebGpu } = await import('./webgpu/open.ts')
  if (device === 'webgpu') return openWebGpu()
  const { milliseconds } = await findGpuOnce(wasm)
  return milliseconds && milliseconds.gpu < milliseconds.cpu ? openWebGpu() : wasm()
}

/** What there is of a GPU for models, and how quick it is beside the CPU. */
export async function findGpu(): Promise<GpuFinding> {
  const [{ findGpuOnce }, { wasmBackend }] = await Promise.all([
    import('./webgpu/open.ts'),
    import('./wasm/wasm-backend.ts'),
  ])
  return findGpuOnce(() => wasmBackend())
}
