import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { ReallmError } from '@reallm/tensor-io'
import { type Answer, resultsOf } from './answer.ts'
import type { EncodeJob, Encoder } from './encode-job.ts'
import type { EncodeResult } from './encode-matrix.ts'

/** Numbers in a matrix, or in its Hessian, after which its thread ends: WebAssembly never gives memory back, and idle threads no garbage. */
const retiringNumbers = 1 << 23

interface Waiting {
  readonly job: EncodeJob
  resolve(results: EncodeResult[]): void
  reject(error: Error): void
}

/** The worker's script: compiled beside this file; absent when running from TypeScript sources. */
const script = new URL('./worker.js', import.meta.url)

/** An encoder on worker threads, which know the built-in recipes; undefined when running from TypeScript sources. */
export function threads(count: number, signal: AbortSignal | undefined): Encoder | undefined {
  if (!existsSync(script)) return undefined
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const busy = new Map<Worker, Waiting>()
  const queue: Waiting[] = []
  let closed = false

  function start(): Worker {
    const worker = new Worker(script, { workerData: { threads: count } })
    all.add(worker)
    worker.on('message', (answer: Answer) => {
      const { job, resolve, reject } = take(worker)
      const { w, hessian } = job
      if (Math.max(w.data.length, hessian?.data.length ?? 0) > retiringNumbers) retire(worker)
      else idle.push(worker)
      try {
        resolve(resultsOf(answer))
      } catch (error) {
        reject(error as Error)
      }
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
    while (queue.length > 0 && (idle.length > 0 || all.size < count)) {
      const worker = idle.pop() ?? start()
      const waiting = queue.shift()!
      busy.set(worker, waiting)
      const gradients = waiting.job.outputGradients?.data.buffer
      worker.postMessage(waiting.job, gradients instanceof ArrayBuffer ? [gradients] : [])
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
    threads: count,
    close,
    encode: job =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new ReallmError('aborted', 'stopped on request'))
        queue.push({ job, resolve, reject })
        next()
      }),
  }
}
