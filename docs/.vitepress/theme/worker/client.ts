import { ReallmError } from '@reallm/tensor-io'
import type { Answer, Request, SentError } from './messages.ts'
import type { CallContext, Methods } from './serve.ts'

export interface CallOptions {
  readonly onEvent?: (event: unknown) => void
  readonly signal?: AbortSignal
}

type Argument<Method> = Method extends () => unknown
  ? undefined
  : Method extends (argument: infer A, context: CallContext) => unknown
    ? A
    : never

/** A Worker whose methods can be called. */
export interface WorkerClient<M extends Methods> {
  call<Name extends keyof M & string>(
    method: Name,
    argument: Argument<M[Name]>,
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<M[Name]>>>
  /** Ends the Worker; calls that are under way are refused as `aborted`. */
  terminate(): void
}

interface Waiting {
  readonly onEvent: ((event: unknown) => void) | undefined
  resolve(value: unknown): void
  reject(error: Error): void
}

/**
 * Calls the methods of a Worker that uses `serveWorker`.
 *
 * @example
 * const writer = startWorker<typeof methods>(
 *   new Worker(new URL('./writer.worker.ts', import.meta.url), { type: 'module' }),
 * )
 * await writer.call('write', { prompt }, { onEvent: text => output.append(text) })
 */
export function startWorker<M extends Methods>(worker: Worker): WorkerClient<M> {
  const waiting = new Map<number, Waiting>()
  let last = 0
  const send = (request: Request) => worker.postMessage(request)

  worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
    const call = waiting.get(data.id)
    if (!call) return
    if ('event' in data) return call.onEvent?.(data.event)
    waiting.delete(data.id)
    if ('error' in data) call.reject(revive(data.error))
    else call.resolve(data.result)
  })
  worker.addEventListener('error', event => {
    refuseAll(
      new ReallmError('unsupported', `the page's worker ended: ${event.message ?? 'it could not start'}`),
    )
  })

  function refuseAll(error: Error): void {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }

  return {
    call: (method, argument, { onEvent, signal } = {}) =>
      new Promise<unknown>((resolve, reject) => {
        const id = ++last
        waiting.set(id, { onEvent, resolve, reject })
        signal?.addEventListener('abort', () => send({ id, abort: true }), { once: true })
        send({ id, method, argument })
      }) as never,
    terminate() {
      worker.terminate()
      refuseAll(new ReallmError('aborted', 'stopped on request'))
    },
  }
}

function revive({ code, message, hint, stack }: SentError): Error {
  const error = code ? new ReallmError(code, message, hint ? { hint } : {}) : new Error(message)
  if (stack) error.stack = stack
  return error
}
