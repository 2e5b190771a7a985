import type { Engine } from './engine.ts'
import { moduleBytes, reserveMemory } from './wasm-module.ts'

/** A module of a few kernels, for one thread, and its memory. */
export interface SmallModule<K> extends Pick<Engine, 'memory'> {
  readonly kernels: K
}

/** 1 GiB; calls work in batches that need far less. */
const MOST_PAGES = 16384

/** Starts a module that exports `K`; `undefined` where this JavaScript engine refuses it. */
export function startSmallModule<K>(digits: string): SmallModule<K> | undefined {
  if (typeof WebAssembly !== 'object') return undefined
  const bytes = moduleBytes(digits, false)
  if (!WebAssembly.validate(bytes)) return undefined
  const memory = reserveMemory(MOST_PAGES, false)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
  return { kernels: exports as typeof exports & K, memory }
}
