import { plain, relaxed } from '../wasm/inference.ts'
import { type KernelBuild, moduleBytes, reserveMemory } from '../wasm-module.ts'
import { Arena } from './arena.ts'
import type { BlockKernels } from './blocks.ts'
import type { InferenceKernels, NeuralKernels, TrellisKernels } from './kernels.ts'
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
  /** Loads the products with trellis codes; no operation may be under way. */
  trellis(): Promise<TrellisKernels>
  /** Loads the neural decoders; no operation may be under way. */
  neural(): Promise<NeuralKernels>
  /** Ends the helper threads. */
  dispose(): void
}

/** Computes a share of an operation. */
type Execute = (operation: number, part: number, parts: number, thread: number) => void

interface Exports extends InferenceKernels {
  setThreads(count: number, canSleep: number): void
  run(operation: number, work: bigint): void
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
    const { memory } = arena
    return {
      ...{ kernels: referenceInference(memory), arena, threads: 1, build: 'reference' },
      blocks: async () => (await import('../reference/blocks.ts')).referenceBlocks(memory),
      trellis: async () => (await import('../reference/products.ts')).referenceTrellis(memory),
      neural: async () => (await import('../reference/neural.ts')).referenceNeural(memory),
      dispose() {},
    }
  }
  const { module, kernels, arena, build, others } = started
  const { memory } = arena

  const helpers: Helper[] = []
  async function startHelpers(): Promise<void> {
    const starts = Array.from({ length: wanted - 1 }, (_, i) =>
      startHelper({ module, others: others.modules, memory, thread: i + 1 }),
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
  let loaded: Promise<unknown> = Promise.resolve()
  /** Loads kernels of another module once, one after the other: all threads start anew with each. */
  function later<K>(load: () => Promise<Digits>): () => Promise<K> {
    async function begin(): Promise<K> {
      const digits = await load()
      const difference = build === 'relaxed' ? digits.relaxed : undefined
      const other = await WebAssembly.compile(moduleBytes(digits.plain, shared, difference))
      const env = { memory, other: others.execute, run: kernels.run }
      const { exports } = await WebAssembly.instantiate(other, { env })
      const products = exports as typeof exports & { execute: Execute } & K
      others.modules.push(other)
      others.execute = products.execute
      if (helpers.length > 0) {
        dispose()
        await startHelpers()
      }
      return products
    }
    let begun: Promise<K> | undefined
    return () => {
      if (!begun) {
        begun = loaded.then(begin, begin)
        loaded = begun
      }
      return begun
    }
  }
  if (shared) await startHelpers()
  return {
    ...{ kernels, arena, build, dispose },
    get threads() {
      return helpers.length + 1
    },
    blocks: later<BlockKernels>(() => import('../wasm/blocks.ts')),
    trellis: later<TrellisKernels>(() => import('../wasm/trellis.ts')),
    neural: later<NeuralKernels>(() => import('../wasm/neural.ts')),
  }
}

interface Started {
  readonly module: WebAssembly.Module
  readonly kernels: Exports
  readonly arena: Arena
  readonly build: 'relaxed' | 'plain'
  readonly others: Others
}

/** A built module, see `moduleBytes`. */
interface Digits {
  readonly plain: string
  readonly relaxed?: string
}

/** Modules that bring further operations, each of which hands on to the one before what it does not know. */
interface Others {
  readonly modules: WebAssembly.Module[]
  execute: Execute
}

/** The wanted build, or the fastest that compiles and computes right; undefined for plain TypeScript. */
async function start(wanted: KernelBuild | undefined, shared: boolean): Promise<Started | undefined> {
  for (const build of ['relaxed', 'plain'] as const) {
    const bytes = moduleBytes(plain, shared, build === 'relaxed' ? relaxed : undefined)
    if (wanted ? wanted !== build : !WebAssembly.validate(bytes)) continue
    const arena = new Arena(reserveMemory(MOST_PAGES, shared))
    const module = await WebAssembly.compile(bytes)
    const others: Others = { modules: [], execute() {} }
    const other: Execute = (...share) => others.execute(...share)
    const { exports } = await WebAssembly.instantiate(module, { env: { memory: arena.memory, other } })
    const kernels = exports as typeof exports & Exports
    if (wanted || knowsAnswer(kernels, arena)) return { module, kernels, arena, build, others }
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
