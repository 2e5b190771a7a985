import { ReallmError } from '@reallm/tensor-io'

/** Whether work ended because nobody wanted it any more. */
export const isAborted = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted || (error instanceof ReallmError && error.code === 'aborted')
