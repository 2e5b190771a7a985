import { ReallmError } from '@reallm/tensor-io'

/** Types of errors as OpenAI's API names them, by status. */
const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
  504: 'timeout_error',
}

interface ApiErrorOptions {
  /** Field of the request that is wrong, like `messages.0.content`. */
  readonly param?: string | undefined
  readonly hint?: string | undefined
  readonly cause?: unknown
  /** Seconds after which a client may try again. */
  readonly retryAfter?: number | undefined
}

/** What a client is answered instead of a result: an HTTP status, and what OpenAI calls `code`. */
export class ApiError extends ReallmError {
  readonly status: number
  readonly reason: string
  readonly param: string | undefined
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    reason: string,
    message: string,
    { param, hint, cause, retryAfter }: ApiErrorOptions = {},
  ) {
    super('bad-option', message, { hint, cause })
    this.status = status
    this.reason = reason
    this.param = param
    this.retryAfter = retryAfter
  }

  /** The body of the answer, in OpenAI's shape. */
  get body() {
    const message = this.hint === undefined ? this.message : `${this.message}; ${this.hint}`
    const type = types[this.status] ?? 'invalid_request_error'
    return { error: { message, type, param: this.param ?? null, code: this.reason } }
  }
}

/** Any error as an answer: what a request caused is told, what went wrong in here is not. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof ReallmError && ['bad-option', 'unsupported'].includes(error.code)) {
    return new ApiError(400, error.code.replace('-', '_'), error.message, { hint: error.hint })
  }
  return new ApiError(500, 'internal_error', 'the server failed at this request')
}
