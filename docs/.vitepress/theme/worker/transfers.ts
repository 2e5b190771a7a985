// What Comlink cannot send by itself: signals, and errors with their code and hint. Both sides of a Worker import this.
import { type ErrorCode, ReallmError } from '@reallm/tensor-io'
import { type TransferHandler, transferHandlers } from 'comlink'

/** A signal is sent as a port that says when it fires. */
const signals: TransferHandler<AbortSignal, MessagePort> = {
  canHandle: (value): value is AbortSignal => value instanceof AbortSignal,
  serialize(signal) {
    const { port1, port2 } = new MessageChannel()
    const fire = () => port1.postMessage('abort')
    if (signal.aborted) fire()
    else signal.addEventListener('abort', fire, { once: true })
    return [port2, [port2]]
  },
  deserialize(port) {
    const controller = new AbortController()
    port.onmessage = () => controller.abort()
    return controller.signal
  },
}

type Thrown = { readonly value: unknown }
interface SentError {
  readonly message: string
  readonly stack?: string | undefined
  readonly code?: ErrorCode
  readonly hint?: string | undefined
}

/** Comlink's own handler knows what was thrown; this one also keeps code and hint. */
const thrown = transferHandlers.get('throw') as TransferHandler<Thrown, unknown>
const errors: TransferHandler<Thrown, SentError> = {
  canHandle: thrown.canHandle,
  serialize({ value }) {
    if (!(value instanceof Error)) return [{ message: String(value) }, []]
    const { message, stack } = value
    return [
      { message, stack, ...(value instanceof ReallmError && { code: value.code, hint: value.hint }) },
      [],
    ]
  },
  deserialize({ code, message, hint, stack }) {
    const error = code ? new ReallmError(code, message, hint ? { hint } : {}) : new Error(message)
    throw Object.assign(error, { stack })
  },
}

transferHandlers.set('signal', signals)
transferHandlers.set('throw', errors)
