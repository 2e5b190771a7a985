import { expose } from 'comlink'
import './transfers.ts'

/** What a call is given beside its argument. */
export interface CallContext {
  /** Sends a note to who called; all of them arrive before the result. */
  emit(event: unknown): void
  /** Aborts when the caller does. */
  readonly signal: AbortSignal
}

/** The functions that a Worker offers; arguments, events and results are cloned on their way. */
// biome-ignore lint/suspicious/noExplicitAny: each method names its own argument.
export type Methods = Record<string, (argument: any, context: CallContext) => unknown>

/** A call as it comes through Comlink; a listener in the page answers when it has heard. */
export type Call = (
  method: string,
  argument: unknown,
  onEvent: (event: unknown) => Promise<void>,
  signal: AbortSignal,
) => Promise<unknown>

/** Makes this Worker answer to `startWorker`'s calls. */
export function serveWorker(methods: Methods): void {
  const call: Call = async (method, argument, onEvent, signal) => {
    let heard: Promise<void> | undefined
    const emit = (event: unknown) => void (heard = onEvent(event))
    const result = await methods[method](argument, { emit, signal })
    await heard
    return result
  }
  expose(call)
}
