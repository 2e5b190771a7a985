import { type Engine, runningEngine, type ScaleKernels, wantsReference } from './engine.ts'
import { plain } from './wasm/scales.ts'
import { moduleBytes, reserveMemory } from './wasm-module.ts'

/** The kernel of scales and its memory. */
export interface ScalesEngine extends Pick<Engine, 'memory'> {
  readonly kernels: ScaleKernels
}

/** 1 GiB; calls work in batches that need far less. */
const MOST_PAGES = 16384

let own: ScalesEngine | undefined

/**
 * What fits scales: the engine that runs already, with its threads, or a module of this kernel alone, whose results are the same, so
 * that rounding to a few levels fetches and compiles little. `undefined` as of `engine`.
 */
export function scalesEngine(): ScalesEngine | undefined {
  const running = runningEngine()
  if (running || wantsReference()) return running
  own ??= start()
  return own
}

function start(): ScalesEngine | undefined {
  if (typeof WebAssembly !== 'object') return undefined
  const bytes = moduleBytes(plain, false)
  if (!WebAssembly.validate(bytes)) return undefined
  const memory = reserveMemory(MOST_PAGES, false)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
  return { kernels: exports as typeof exports & ScaleKernels, memory }
}
