import { type ProgressEvent, ReallmError } from '@reallm/tensor-io'
import {
  type Answer,
  type CallName,
  type Calls,
  type Request,
  type Result,
  receivedError,
} from './messages.ts'

/** A Worker, of a page or of Node. */
export interface Thread {
  post(request: Request): void
  /** Whether an answer is awaited: Node ends when all that is left are threads that owe none. */
  owe(isAwaited: boolean): void
  end(): void
}

/** Opens a thread that tells what it says, and why it ended if it does. */
export type OpenThread = (hear: (answer: Answer) => void, failed: (why: string) => void) => Thread

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
  readonly onProgress: ((event: ProgressEvent) => void) | undefined
}

/** Calls to a Worker that runs `serveModel`. */
export class Line {
  readonly #thread: Thread
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #ended: ReallmError | undefined

  constructor(open: OpenThread) {
    this.#thread = open(
      answer => this.#hear(answer),
      why =>
        this.#end(
          new ReallmError('unsupported', `the model's Worker ended: ${why}`, {
            hint: 'see that the page serves its script, or pass `worker` one that calls serveModel() of @reallm/runtime/worker',
          }),
        ),
    )
  }

  /** Calls, and returns the number of the call beside its answer. */
  call<Name extends CallName>(
    name: Name,
    args: Parameters<Calls[Name]>,
    onProgress?: (event: ProgressEvent) => void,
  ): { readonly id: number; readonly answer: Promise<Result<Name>> } {
    const id = ++this.#calls
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended)
      try {
        this.#thread.post({ id, name, args } as Request)
      } catch (cause) {
        const hint =
          'functions, sessions, other models and open files stay in their thread: load the model there'
        return reject(
          new ReallmError('bad-option', `${name}: an option cannot be sent to a Worker`, { hint, cause }),
        )
      }
      this.#waiting.set(id, { resolve, reject, onProgress })
      this.#thread.owe(true)
    })
    return { id, answer: answer as Promise<Result<Name>> }
  }

  /** Calls, and aborts the call when the signal does. */
  async until<T>({ id, answer }: { readonly id: number; readonly answer: Promise<T> }, signal?: AbortSignal) {
    const stop = this.abortsWith(id, signal)
    try {
      return await answer
    } finally {
      stop()
    }
  }

  /** Aborts what call `id` began when the signal does, until the function that it returns is called. */
  abortsWith(id: number, signal: AbortSignal | undefined): () => void {
    const abort = () => {
      if (!this.#ended) this.#thread.post({ abort: id })
    }
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
    return () => signal?.removeEventListener('abort', abort)
  }

  /** Ends the Worker; calls under way are refused as `aborted`. */
  close(): void {
    this.#end(
      new ReallmError('aborted', 'this model has been disposed of', { hint: 'load it again to go on' }),
    )
  }

  #hear(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    if (!waiting) return
    if ('progress' in answer) {
      waiting.onProgress?.(answer.progress)
      return
    }
    this.#waiting.delete(answer.id)
    this.#thread.owe(this.#waiting.size > 0)
    if ('error' in answer) waiting.reject(receivedError(answer.error))
    else waiting.resolve(answer.value)
  }

  #end(reason: ReallmError): void {
    if (this.#ended) return
    this.#ended = reason
    this.#thread.end()
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }
}
