import { plain, relaxed } from '../wasm/inference.ts'
import { type KernelBuild, moduleBytes, reserveMemory } from '../wasm-module.ts'
import { Arena } from './arena.ts'
import type { BlockKernels } from './blocks.ts'
import type { InferenceKernels } from './kernels.ts'
import { canShareMemory, canSleep, type Helper, startHelper } from './threads.ts'

/** Options of starting the inference kernels. */
export interface InferenceOptions {
  /** Threads in all, this one included; default 1. Fewer start where memory cannot be shared. */
  readonly threads?: number | undefined
  /** Default: the fastest that this engine compiles. */
  readonly build?: KernelBuild | undefined
}

/** A memory with everything in it, and the operations on it. */
export interface Inference {
  readonly kernels: InferenceKernels
  readonly arena: Arena
  readonly threads: number
  readonly build: KernelBuild
  /** Loads the products with GGUF's blocks; no operation may be under way. */
  blocks(): Promise<BlockKernels>
  /** Ends the helper threads. */
  dispose(): void
}

interface Exports extends InferenceKernels {
  setThreads(count: number, canSleep: number): void
  stop(): void
}

/** Threads that the kernels have room for. */
const MOST_THREADS = 32
/** 4 GiB. */
const MOST_PAGES = 65536

/**
 * Starts an inference engine with a memory of its own.
 *
 * @example
 * const { kernels, arena } = await createInference({ threads: 2 })
 * const x = arena.allocate(4 * 1024)
 */
export async function createInference(options: InferenceOptions = {}): Promise<Inference> {
  const wanted = Math.min(MOST_THREADS, Math.max(1, Math.floor(options.threads ?? 1)))
  const shared = wanted > 1 && canShareMemory()
  const started = await start(options.build, shared)
  if (!started) {
    const { referenceInference } = await import('../reference/inference.ts')
    const arena = new Arena(reserveMemory(MOST_PAGES, false))
    const blocks = async () => (await import('../reference/blocks.ts')).referenceBlocks(arena.memory)
    return {
      ...{ kernels: referenceInference(arena.memory), arena, threads: 1, build: 'reference', blocks },
      dispose() {},
    }
  }
  const { module, kernels, arena, build } = started
  const { memory } = arena

  const helpers: Helper[] = []
  async function startHelpers(other?: WebAssembly.Module): Promise<void> {
    const starts = Array.from({ length: wanted - 1 }, (_, i) =>
      startHelper({ module, other, memory, part: i + 1, parts: wanted }),
    )
    const settled = await Promise.allSettled(starts)
    for (const result of settled) if (result.status === 'fulfilled') helpers.push(result.value)
    if (helpers.length < wanted - 1) for (const helper of helpers.splice(0)) helper.terminate()
    kernels.setThreads(helpers.length + 1, +canSleep())
  }
  const dispose = () => {
    if (helpers.length > 0) kernels.stop()
    kernels.setThreads(1, 0)
    for (const helper of helpers.splice(0)) helper.terminate()
  }
  let blocks: Promise<BlockKernels> | undefined
  async function startBlocks(): Promise<BlockKernels> {
    const { plain } = await import('../wasm/blocks.ts')
    const other = await WebAssembly.compile(moduleBytes(plain, shared))
    const { exports } = await WebAssembly.instantiate(other, { env: { memory } })
    const products = exports as typeof exports & Pick<Exports, 'setThreads'> & BlockKernels
    if (helpers.length > 0) {
      dispose()
      await startHelpers(other)
    }
    products.setThreads(helpers.length + 1, +canSleep())
    return products
  }
  if (shared) await startHelpers()
  return {
    ...{ kernels, arena, build, dispose },
    get threads() {
      return helpers.length + 1
    },
    blocks() {
      blocks ??= startBlocks()
      return blocks
    },
  }
}

interface Started {
  readonly module: WebAssembly.Module
  readonly kernels: Exports
  readonly arena: Arena
  readonly build: 'relaxed' | 'plain'
}

/** The wanted build, or the fastest that compiles and computes right; undefined for plain TypeScript. */
async function start(wanted: KernelBuild | undefined, shared: boolean): Promise<Started | undefined> {
  for (const build of ['relaxed', 'plain'] as const) {
    const bytes = moduleBytes(plain, shared, build === 'relaxed' ? relaxed : undefined)
    if (wanted ? wanted !== build : !WebAssembly.validate(bytes)) continue
    const arena = new Arena(reserveMemory(MOST_PAGES, shared))
    const module = await WebAssembly.compile(bytes)
    // what other modules bring is called on this thread by themselves
    const { exports } = await WebAssembly.instantiate(module, { env: { memory: arena.memory, other() {} } })
    const kernels = exports as typeof exports & Exports
    if (wanted || knowsAnswer(kernels, arena)) return { module, kernels, arena, build }
  }
  return undefined
}

/** A small product with a known result: validation alone does not notice miscompiled relaxed instructions. */
function knowsAnswer(kernels: Exports, arena: Arena): boolean {
  const [rows, cols] = [4, 16]
  const [from, w, x, y] = [rows * cols, rows * cols, cols, rows].map(count => arena.allocate(4 * count))
  const weights = arena.floats(from, rows * cols).map((_, i) => (i % 7) - 3)
  const values = arena.floats(x, cols).map((_, i) => (i % 5) - 2)
  arena.floats(from, rows * cols).set(weights)
  arena.floats(x, cols).set(values)
  kernels.packFloats(from, w, rows, cols, cols, 0)
  kernels.matmulFloat(w, x, cols, y, rows, rows, cols, 1, 0, 1)
  const right = arena
    .floats(y, rows)
    .every((sum, r) => sum === values.reduce((total, v, c) => total + v * weights[r * cols + c], 0))
  for (const at of [from, w, x, y]) arena.free(at)
  return right
}
