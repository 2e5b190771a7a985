import { ApiError } from '../errors.ts'

/** A signal with what it listens to, to be ended with the request. */
export interface Deadline {
  readonly signal: AbortSignal
  end(): void
}

/** A signal that fires when a client leaves, when the server stops, or after so many seconds; its reason is an `ApiError`. */
export function deadline(client: AbortSignal, server: AbortSignal, seconds: number): Deadline {
  const controller = new AbortController()
  const left = () => controller.abort(new ApiError(499, 'client_left', 'the client left'))
  const stopped = () => controller.abort(server.reason)
  if (client.aborted) left()
  if (server.aborted) stopped()
  client.addEventListener('abort', left)
  server.addEventListener('abort', stopped)
  const late = new ApiError(504, 'timeout', `the answer took more than ${seconds} s`, {
    hint: 'ask for fewer tokens',
  })
  const timer = setTimeout(() => controller.abort(late), 1000 * seconds)
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer)
      client.removeEventListener('abort', left)
      // its option `signal` would do so too, but Node keeps what was removed that way as long as the target
      server.removeEventListener('abort', stopped)
    },
  }
}
