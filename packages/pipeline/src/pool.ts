import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, type Matrix, ReallmError } from '@reallm/tensor-io'
import { type EncodeResult, encodeMatrix, type Moments } from './encode.ts'
import { choicesFor, type Effort, type MatrixModule, type Recipe } from './recipe.ts'

/** One matrix to encode: one job. Plain data, so that it can go to another thread. */
export interface EncodeJob extends Moments {
  readonly recipe: string
  readonly module: MatrixModule
  readonly effort: Effort
  /** Index into the recipe's choices for this matrix. */
  readonly choice: number
  readonly w: Matrix
  readonly seed: number
  /** Also measure what feedback rounding gains. */
  readonly compare?: boolean
}

/** What a worker thread answers. */
export type WorkerAnswer =
  | { readonly result: EncodeResult }
  | { readonly error: { code?: ErrorCode; message: string; hint?: string; stack?: string } }

/** Encodes matrices, several at a time; a job's result does not depend on how many. */
export interface EncodePool {
  readonly threads: number
  encode(job: EncodeJob): Promise<EncodeResult>
  close(): Promise<void>
}

export interface PoolOptions {
  /** Worker threads; 0 encodes in this thread. Default: one per core. */
  readonly threads?: number
  readonly signal?: AbortSignal
}

/**
 * A pool of worker threads for a built-in recipe. In this thread when `threads` is 0, when the recipe is the caller's
 * own (its functions cannot be sent), or when running from TypeScript sources.
 */
export function encodePool(recipe: Recipe, isBuiltIn: boolean, options: PoolOptions = {}): EncodePool {
  const threads = options.threads ?? availableParallelism()
  const canThread = isBuiltIn && threads > 0 && import.meta.url.endsWith('.js')
  return canThread ? threadPool(threads, options.signal) : inThisThread(recipe, options.signal)
}

function inThisThread(recipe: Recipe, signal: AbortSignal | undefined): EncodePool {
  return {
    threads: 1,
    encode: job => runJob(recipe, job, signal),
    close: async () => {},
  }
}

/** Encodes one job; used by worker threads and by the pool without threads. */
export function runJob(recipe: Recipe, job: EncodeJob, signal?: AbortSignal): Promise<EncodeResult> {
  const choice = choicesFor(recipe, job.module, job.effort)[job.choice]
  return encodeMatrix(job.module.name, job.w, choice, job, {
    seed: job.seed,
    compare: job.compare ?? false,
    ...(signal && { signal }),
  })
}

/** Weights of a matrix after which its thread ends: WebAssembly never gives memory back. */
const retiringWeights = 1 << 23

interface Waiting {
  readonly job: EncodeJob
  resolve(result: EncodeResult): void
  reject(error: Error): void
}

function threadPool(threads: number, signal: AbortSignal | undefined): EncodePool {
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const busy = new Map<Worker, Waiting>()
  const queue: Waiting[] = []
  let closed = false

  function start(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    all.add(worker)
    worker.on('message', (answer: WorkerAnswer) => {
      const { job, resolve, reject } = take(worker)
      if (job.w.data.length > retiringWeights) retire(worker)
      else idle.push(worker)
      if ('result' in answer) resolve(answer.result)
      else reject(revive(answer.error))
      next()
    })
    worker.on('error', error => fail(worker, error))
    worker.on('exit', code => {
      if (!closed) fail(worker, new ReallmError('io', `an encoding thread ended with code ${code}`))
    })
    return worker
  }

  function take(worker: Worker): Waiting {
    const waiting = busy.get(worker)!
    busy.delete(worker)
    return waiting
  }

  function retire(worker: Worker): void {
    all.delete(worker)
    worker.removeAllListeners('exit')
    void worker.terminate()
  }

  function fail(worker: Worker, error: Error): void {
    all.delete(worker)
    if (busy.has(worker)) take(worker).reject(error)
    if (!closed) next()
  }

  function next(): void {
    while (queue.length > 0 && (idle.length > 0 || all.size < threads)) {
      const worker = idle.pop() ?? start()
      const waiting = queue.shift()!
      busy.set(worker, waiting)
      worker.postMessage(waiting.job)
    }
  }

  async function close(): Promise<void> {
    closed = true
    const stopped = new ReallmError('aborted', 'stopped on request')
    for (const waiting of [...queue.splice(0), ...busy.values()]) waiting.reject(stopped)
    busy.clear()
    await Promise.all([...all].map(worker => worker.terminate()))
    all.clear()
  }
  signal?.addEventListener('abort', close, { once: true })

  return {
    threads,
    close,
    encode: job =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new ReallmError('aborted', 'stopped on request'))
        queue.push({ job, resolve, reject })
        next()
      }),
  }
}

function revive({ code, message, hint, stack }: Extract<WorkerAnswer, { error: unknown }>['error']): Error {
  const error = code ? new ReallmError(code, message, hint ? { hint } : {}) : new Error(message)
  if (stack) error.stack = stack
  return error
}
