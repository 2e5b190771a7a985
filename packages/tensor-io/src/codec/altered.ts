import { type ErrorCode, ReallmError } from '../core/errors.ts'

/** The error for a stored matrix that no encoder wrote: `bad-tensor` of its parts, `bad-file` of what describes it. */
export const altered = (message: string, code: ErrorCode = 'bad-tensor', cause?: unknown): ReallmError =>
  new ReallmError(code, message, { hint: 'the file was cut or altered: fetch or compress it again', cause })
