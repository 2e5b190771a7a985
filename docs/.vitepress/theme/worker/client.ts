import { ReallmError } from '@reallm/tensor-io'
import { proxy, wrap } from 'comlink'
import type { Call, CallContext, Methods } from './serve.ts'
import './transfers.ts'

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
  const remote = wrap<Call>(worker)
  const ended = new AbortController()
  const end = (reason: ReallmError) => ended.abort(reason)
  worker.addEventListener('error', ({ message }) =>
    end(new ReallmError('unsupported', `the page's worker ended: ${message ?? 'it could not start'}`)),
  )
  return {
    call: (method, argument, { onEvent, signal = new AbortController().signal } = {}) =>
      new Promise<unknown>((resolve, reject) => {
        ended.signal.throwIfAborted()
        ended.signal.addEventListener('abort', () => reject(ended.signal.reason), { once: true })
        const heard = async (event: unknown) => void onEvent?.(event)
        remote(method, argument, proxy(heard), signal).then(resolve, reject)
      }) as never,
    terminate() {
      worker.terminate()
      end(new ReallmError('aborted', 'stopped on request'))
    },
  }
}
