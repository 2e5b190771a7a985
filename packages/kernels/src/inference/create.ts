import { referenceInference } from '../reference/inference.ts'
import { plain, relaxed } from '../wasm/inference.ts'
import { Arena } from './arena.ts'
import type { InferenceKernels } from './kernels.ts'
import { canShareMemory, canSleep, type Helper, startHelper } from './threads.ts'

/** How the kernels run: relaxed SIMD (fused multiply-add), plain SIMD, or TypeScript without WebAssembly code. */
export type InferenceBuild = 'relaxed' | 'plain' | 'reference'

export interface InferenceOptions {
  /** Threads in all, this one included; default 1. Fewer start where memory cannot be shared. */
  readonly threads?: number
  /** Default: the fastest that this engine compiles. */
  readonly build?: InferenceBuild
}

/** A memory with everything in it, and the operations on it. */
export interface Inference {
  readonly kernels: InferenceKernels
  readonly arena: Arena
  readonly threads: number
  readonly build: InferenceBuild
  /** Ends the helper threads. */
  close(): void
}

interface Exports extends InferenceKernels {
  setThreads(count: number, canSleep: number): void
  stop(): void
}

/** What the kernels have room for. */
const MOST_THREADS = 32
const LARGEST_PAGES = [65536, 32768, 16384, 8192]

/**
 * Starts an inference engine with a memory of its own.
 *
 * @example
 * const { kernels, arena } = await createInference({ threads: 2 })
 * const x = arena.allocate(4 * 1024)
 */
export async function createInference(options: InferenceOptions = {}): Promise<Inference> {
  const wanted = Math.min(MOST_THREADS, Math.max(1, Math.floor(options.threads ?? 1)))
  const build = options.build ?? fastestBuild()
  if (build === 'reference') {
    const arena = new Arena(largestMemory(false))
    return { kernels: referenceInference(arena.memory), arena, threads: 1, build, close() {} }
  }
  const shared = wanted > 1 && canShareMemory()
  const arena = new Arena(largestMemory(shared))
  const { memory } = arena
  const module = await WebAssembly.compile(decode(build, shared))
  const instance = await WebAssembly.instantiate(module, { env: { memory } })
  const kernels = instance.exports as unknown as Exports

  const helpers: Helper[] = []
  if (shared) {
    const starts = Array.from({ length: wanted - 1 }, (_, i) =>
      startHelper({ module, memory, part: i + 1, parts: wanted }),
    )
    const settled = await Promise.allSettled(starts)
    for (const result of settled) if (result.status === 'fulfilled') helpers.push(result.value)
    if (helpers.length < wanted - 1) for (const helper of helpers.splice(0)) helper.terminate()
  }
  const threads = helpers.length + 1
  kernels.setThreads(threads, +canSleep())
  const close = () => {
    if (helpers.length > 0) kernels.stop()
    kernels.setThreads(1, 0)
    for (const helper of helpers.splice(0)) helper.terminate()
  }
  return { kernels, arena, threads, build, close }
}

function fastestBuild(): InferenceBuild {
  if (WebAssembly.validate(decode('relaxed', true))) return 'relaxed'
  return WebAssembly.validate(decode('plain', true)) ? 'plain' : 'reference'
}

/** The module's bytes; without sharing, the flag of its imported memory is cleared. */
function decode(build: 'relaxed' | 'plain', shared: boolean): Uint8Array<ArrayBuffer> {
  const text = atob(build === 'relaxed' ? relaxed : plain)
  const bytes = Uint8Array.from(text, c => c.charCodeAt(0))
  const memoryImport = '\x03env\x06memory\x02'
  const flags = text.indexOf(memoryImport) + memoryImport.length
  if (!shared) bytes[flags] &= ~2
  return bytes
}

/** The largest memory this engine reserves; engines with little address space refuse 4 GiB. */
function largestMemory(shared: boolean): WebAssembly.Memory {
  for (const maximum of LARGEST_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared })
    } catch {}
  }
  return new WebAssembly.Memory({ initial: 1, maximum: 4096, shared })
}
