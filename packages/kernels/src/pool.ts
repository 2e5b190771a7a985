import { ReallmError } from '@reallm/tensor-io'
import { type Engine, engine, replaceEngine, startEngine } from './engine.ts'
import { canShareMemory, canSleep, startHelper } from './inference/threads.ts'

/** Options of `createPool`. */
export interface PoolOptions {
  /** Threads in all, the calling one included. */
  readonly threads: number
}

/** Helper threads of this package's functions. */
export interface Pool {
  /** What there is: 1 where memory cannot be shared (a page that is not cross-origin isolated) or SIMD is missing. */
  readonly threads: number
  /** Ends the helpers; functions run on the calling thread again. */
  close(): void
}

/**
 * Lets products, Gram matrices, trellis searches and nearest-centroid searches of this process or page run on several
 * threads over shared memory (worker_threads in Node, Web Workers in pages). The functions stay synchronous, and their
 * results are the same for any number of threads. One pool at a time.
 *
 * @throws ReallmError `bad-option` when a pool is open
 * @example
 * const pool = await createPool({ threads: 4 })
 * const states = viterbi(values, { bits: 2, lut: trellisTable(12, 2) })
 * pool.close()
 */
export async function createPool({ threads }: PoolOptions): Promise<Pool> {
  const single = engine()
  if (single && single.threads > 1)
    throw new ReallmError('bad-option', 'a thread pool is open', { hint: 'close it' })
  const shared = single && threads > 1 && canShareMemory() ? startEngine(single.build, true) : undefined
  if (!shared) return { threads: 1, close() {} }
  const { module, memory, kernels } = shared
  const starts = Array.from({ length: threads - 1 }, (_, i) => startHelper({ module, memory, thread: i + 1 }))
  const settled = await Promise.allSettled(starts)
  const helpers = settled.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  if (helpers.length < threads - 1) {
    for (const helper of helpers) helper.terminate()
    return { threads: 1, close() {} }
  }
  kernels.setThreads(threads, +canSleep())
  const pooled: Engine = { ...shared, threads }
  replaceEngine(pooled)
  return {
    threads,
    close() {
      if (engine() !== pooled) return
      replaceEngine(single)
      kernels.stop()
      for (const helper of helpers) helper.terminate()
    },
  }
}
