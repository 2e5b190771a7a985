import { ReallmError } from '@reallm/tensor-io'
import type { Answer, Request } from './messages.ts'

/** What a call is given beside its argument. */
export interface CallContext {
  /** Sends a note to who called, before the result. */
  emit(event: unknown): void
  /** Aborts when the caller does. */
  readonly signal: AbortSignal
}

/** The functions that a Worker offers; arguments, events and results are cloned on their way. */
// biome-ignore lint/suspicious/noExplicitAny: each method names its own argument.
export type Methods = Record<string, (argument: any, context: CallContext) => unknown>

/** Buffers of a result that are handed over instead of copied: `return transfer(result, [buffer])`. */
export function transfer<T extends object>(result: T, buffers: Transferable[]): T {
  transfers.set(result, buffers)
  return result
}

const transfers = new WeakMap<object, Transferable[]>()

/** Makes this Worker answer to `startWorker`'s calls. */
export function serveWorker(methods: Methods): void {
  const running = new Map<number, AbortController>()
  const send = (answer: Answer, buffers: Transferable[] = []) => postMessage(answer, { transfer: buffers })

  async function run({ id, method, argument }: Extract<Request, { method: string }>): Promise<void> {
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const emit = (event: unknown) => send({ id, event })
      const result = await methods[method](argument, { emit, signal: controller.signal })
      send({ id, result }, transfers.get(Object(result)))
    } catch (cause) {
      const { message, stack } = cause as Error
      const known = cause instanceof ReallmError ? { code: cause.code, hint: cause.hint } : {}
      send({ id, error: { message, stack, ...known } })
    } finally {
      running.delete(id)
    }
  }

  addEventListener('message', ({ data }: MessageEvent<Request>) => {
    if ('abort' in data) running.get(data.id)?.abort()
    else void run(data)
  })
}
