import { ReallmError } from './errors.ts'

/** What long work tells its caller; libraries never print. */
export interface ProgressEvent {
  /** Noun-verb: `matrix-start`, `matrix-end`, `step-end`, `bytes-read`, …; `warning` for what the user should know. */
  readonly event: string
  /** A warning in words. */
  readonly message?: string
  /** What it is about: a module or file name. */
  readonly name?: string | undefined
  /** Work done and in all, in the unit the event counts (bytes, matrices, steps). */
  readonly done: number
  readonly total: number
  /** Seconds left, estimated. */
  readonly eta?: number | undefined
  /** Of work in several stages: the share of all of it that is done, 0 to 1, and the seconds left. */
  readonly overall?: { readonly share: number; readonly eta?: number | undefined } | undefined
  /** Relative error of a matrix, or loss of a step. */
  readonly error?: number | undefined
  readonly bytes?: number | undefined
}

/** Hears of progress and warnings. */
export type OnProgress = (event: ProgressEvent) => void

/** Options every long-running function takes. */
export interface LongWork {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: OnProgress | undefined
}

/** Tells whoever listens what the user should know. */
export const warn = ({ onProgress }: Pick<LongWork, 'onProgress'>, message: string): void =>
  onProgress?.({ event: 'warning', message, done: 0, total: 0 })

/** Throws `aborted` when the signal has fired; call it between units of work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ReallmError('aborted', 'stopped on request', { cause: signal.reason })
}

/** Between units of work: lets other tasks run every 50 ms, so that an abort is heard, and throws `aborted` then. */
export function breather({ signal }: LongWork): () => Promise<void> {
  let last = performance.now()
  return async () => {
    if (performance.now() - last > 50) {
      await new Promise(resolve => setTimeout(resolve))
      last = performance.now()
    }
    throwIfAborted(signal)
  }
}
