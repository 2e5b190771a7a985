import { type ErrorCode, ReallmError } from '@reallm/tensor-io'
import type { EncodeResult } from './encode-matrix.ts'

/** What is sent back of a job that ran elsewhere. */
export type Answer =
  | { readonly results: EncodeResult[] }
  | { readonly error: { code?: ErrorCode; message: string; hint?: string; stack?: string } }

/** Runs a job and says how it ended; never throws. */
export async function answerOf(run: () => Promise<EncodeResult[]>): Promise<Answer> {
  try {
    return { results: await run() }
  } catch (error) {
    const { message, stack } = error as Error
    const known = error instanceof ReallmError
    return {
      error: {
        message,
        ...(stack && { stack }),
        ...(known && { code: error.code, ...(error.hint && { hint: error.hint }) }),
      },
    }
  }
}

/** The results, or the error as it was thrown there. */
export function resultsOf(answer: Answer): EncodeResult[] {
  if ('results' in answer) return answer.results
  const { code, message, hint, stack } = answer.error
  const error = code ? new ReallmError(code, message, hint ? { hint } : {}) : new Error(message)
  if (stack) error.stack = stack
  throw error
}
