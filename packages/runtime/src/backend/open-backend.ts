import type { Backend } from './backend.ts'

/** `wasm`: SIMD WebAssembly; `reference`: plain TypeScript, slow and exact, for checks. */
export type Device = 'wasm' | 'reference'

export interface BackendOptions {
  readonly device?: Device | undefined
  readonly threads?: number | undefined
  /** How `wasm` holds keys and values: `int8` takes a quarter of `f32`, and is faster in long texts. */
  readonly kvCache?: 'f32' | 'int8' | undefined
}

/** Starts a backend. A page fetches the code of the one that it runs. */
export async function openBackend({ device = 'wasm', ...options }: BackendOptions): Promise<Backend> {
  if (device === 'reference') return (await import('./reference/reference-backend.ts')).referenceBackend()
  return (await import('./wasm/wasm-backend.ts')).wasmBackend(options)
}
