import type { ErrorCode } from '@reallm/tensor-io'

/** What a page sends to its Worker. */
export type Request =
  | { readonly id: number; readonly method: string; readonly argument: unknown }
  | { readonly id: number; readonly abort: true }

/** What the Worker sends back: any number of events, then a result or an error. */
export type Answer = { readonly id: number } & (
  | { readonly event: unknown }
  | { readonly result: unknown }
  | { readonly error: SentError }
)

export interface SentError {
  readonly message: string
  readonly stack?: string | undefined
  readonly code?: ErrorCode | undefined
  readonly hint?: string | undefined
}
