/** Stable codes of everything this project refuses; scripts may match on them. */
export type ErrorCode =
  | 'not-found'
  | 'bad-file'
  | 'bad-tensor'
  | 'bad-option'
  | 'unsupported'
  | 'io'
  | 'integrity'
  | 'changed-option'
  | 'aborted'
  | 'numeric'

/**
 * The one error class. `message` names the file, the tensor (with its shape) and what is wrong, in one
 * sentence; `hint` says how to fix it. The command line prints both and no stack.
 */
export class ReallmError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ReallmError'
    this.code = code
    this.hint = options.hint
  }
}

/** An error of this project with where it happened before its message; any other as it is. */
export function errorAt(where: string, cause: unknown): unknown {
  if (!(cause instanceof ReallmError)) return cause
  const { code, message, hint } = cause
  return new ReallmError(code, `${where}: ${message}`, { cause, hint })
}
