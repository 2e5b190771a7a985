import { type ErrorCode, type ProgressEvent, ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, TransformerConfig } from '@reallm/tensor-io/models'
import type { ChatOptions } from '../chat.ts'
import type { GenerationReport } from '../generation.ts'
import type { LoadOptions } from '../load-options.ts'
import type { GenerateTextOptions, Model } from '../model.ts'

/** What a model tells of itself. */
export interface ModelFacts
  extends Pick<Model, 'weights' | 'device' | 'bytes' | 'multiplyAdds' | 'threads' | 'kernels' | 'eos'> {
  /** All but the functions of its family. */
  readonly config: Omit<TransformerConfig, 'family'>
}

/** How a generation ended. */
export interface Ended {
  /** Absent where it could not begin. */
  readonly report: GenerationReport | undefined
  /** What the chat holds that it belongs to. */
  readonly messages: readonly ChatMessage[] | undefined
  readonly bytes: number
}

type Sent<Options> = Omit<Options, 'signal' | 'onProgress'>

/** A model that a Worker opens: cloned on its way. */
export type SentLocation = string | Blob | readonly File[]

/** What the Worker does when asked. Generations and chats are called by the number of the request that made them. */
export interface Calls {
  load(where: SentLocation, options: Sent<LoadOptions>): Promise<ModelFacts>
  generate(prompt: string | readonly number[], options: Sent<GenerateTextOptions>): void
  chat(options: Sent<ChatOptions>): void
  send(chat: number, content: string, options: Sent<GenerateTextOptions>): void
  next(generation: number): Promise<IteratorResult<string, undefined>>
  end(generation: number): Promise<Ended>
  forget(chat: number): void
  /** Returns the bytes that the model takes then. */
  useAdapter(where: SentLocation | undefined): Promise<number>
}

export type CallName = keyof Calls
export type Result<Name extends CallName> = Awaited<ReturnType<Calls[Name]>>

/** What the page says: a call, or that the one of this number is not wanted any more. */
export type Request =
  | {
      [Name in CallName]: { readonly id: number; readonly name: Name; readonly args: Parameters<Calls[Name]> }
    }[CallName]
  | { readonly abort: number }

/** What the Worker says to a call. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError }
  | { readonly id: number; readonly progress: ProgressEvent }

/** An error as it is cloned: structured clone alone would lose code and hint. */
interface SentError {
  readonly message: string
  readonly stack: string | undefined
  readonly code?: ErrorCode
  readonly hint?: string | undefined
}

export function sentError(error: unknown): SentError {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined }
  const { message, stack } = error
  if (!(error instanceof ReallmError)) return { message, stack }
  return { message, stack, code: error.code, hint: error.hint }
}

export function receivedError({ message, stack, code, hint }: SentError): Error {
  const error = code === undefined ? new Error(message) : new ReallmError(code, message, { hint })
  if (stack !== undefined) error.stack = stack
  return error
}
