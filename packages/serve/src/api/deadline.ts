import { ApiError } from '../errors.ts'

/** A signal with what it listens to, to be ended with the request. */
export interface Deadline {
  readonly signal: AbortSignal
  end(): void
}

/** A signal that fires when a client leaves, when the server stops, or after so many seconds; its reason is an `ApiError`. */
export function deadline(client: AbortSignal, server: AbortSignal, seconds: number): Deadline {
  const controller = new AbortController()
  const end = new AbortController()
  const listen = (signal: AbortSignal, reason: () => unknown) => {
    if (signal.aborted) controller.abort(reason())
    else signal.addEventListener('abort', () => controller.abort(reason()), { signal: end.signal })
  }
  listen(client, () => new ApiError(499, 'client_left', 'the client left'))
  listen(server, () => server.reason)
  const late = new ApiError(504, 'timeout', `the answer took more than ${seconds} s`, {
    hint: 'ask for fewer tokens',
  })
  const timer = setTimeout(() => controller.abort(late), 1000 * seconds)
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer)
      end.abort()
    },
  }
}
