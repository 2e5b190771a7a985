import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { type ByteSource, bytesSource, checkRange, type ReadOptions } from './source.ts'

export interface UrlOptions extends ReadOptions {
  /** Instead of the global `fetch`: for proxies or credentials. */
  readonly fetch?: typeof fetch | undefined
}

/** Bytes fetched with the first request: small files and most headers take no second one. */
const firstBytes = 1 << 16
const attempts = 3

/**
 * A file behind HTTP(S), read by range requests. A server that ignores ranges sends the whole file once; it is
 * then kept in memory. Requests that fail for a passing reason are made three times.
 *
 * Throws `not-found` on 404, `io` on other failures.
 */
export async function openUrlSource(url: string, options: UrlOptions = {}): Promise<ByteSource> {
  const first = await request(url, [0, firstBytes], options)
  if (first.status !== 206) return bytesSource(url, await body(url, first))
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(first.headers.get('content-range') ?? '')
  const head = await body(url, first)
  // a cross-origin server may hide Content-Range, but never Content-Length
  const size = range ? Number(range[3]) : await sizeByHead(url, options)
  if ((range && range[1] !== '0') || head.length !== Math.min(size, firstBytes)) throw wrongRange(url)

  let whole: ByteSource | undefined
  return {
    name: url,
    size,
    async read(start, end, { signal = options.signal } = {}) {
      checkRange(url, size, start, end)
      throwIfAborted(signal)
      if (end <= head.length) return head.slice(start, end)
      if (whole) return whole.read(start, end)
      const response = await request(url, [start, end], { ...options, signal })
      const bytes = await body(url, response)
      if (response.status === 200 && bytes.length === size) {
        whole = bytesSource(url, bytes)
        return whole.read(start, end)
      }
      if (bytes.length !== end - start) throw wrongRange(url)
      return bytes
    },
    close: async () => {},
  }
}

/** Whether there is a file behind a URL; a page in place of it (as single-page servers send) does not count. */
export async function urlExists(url: string, options: UrlOptions = {}): Promise<boolean> {
  try {
    const response = await request(url, [0, 1], options)
    await response.body?.cancel()
    return !(response.headers.get('content-type') ?? '').startsWith('text/html')
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'not-found') return false
    throw error
  }
}

async function request(
  url: string,
  range: readonly [start: number, end: number],
  options: UrlOptions,
): Promise<Response> {
  const headers = { Range: `bytes=${range[0]}-${range[1] - 1}` }
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(options.signal)
    const response = await send(url, { headers }, options).catch((error: ReallmError) => error)
    if (response instanceof Response) {
      if (response.ok) return response
      if (response.status === 416 && range[0] === 0) return new Response(new Uint8Array(0))
      const passing = response.status === 429 || response.status >= 500
      if (!passing || attempt === attempts) throw refused(url, response)
    } else if (attempt === attempts || response.code === 'aborted') throw response
    await new Promise(resolve => setTimeout(resolve, 100 * 4 ** (attempt - 1)))
  }
}

async function send(url: string, init: RequestInit, options: UrlOptions): Promise<Response> {
  try {
    const get = options.fetch ?? fetch
    return await get(url, { ...init, signal: options.signal ?? null })
  } catch (cause) {
    throwIfAborted(options.signal)
    throw unreachable(url, cause)
  }
}

async function body(url: string, response: Response): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await response.arrayBuffer())
  } catch (cause) {
    throw unreachable(url, cause)
  }
}

async function sizeByHead(url: string, options: UrlOptions): Promise<number> {
  const response = await send(url, { method: 'HEAD' }, options)
  const length = response.headers.get('content-length')
  if (!response.ok || length === null) throw wrongRange(url)
  return Number(length)
}

function refused(url: string, { status, statusText }: Response): ReallmError {
  if (status === 404 || status === 410)
    return new ReallmError('not-found', `${url}: not found (HTTP ${status})`)
  const hint = status === 401 || status === 403 ? { hint: 'the server wants a login or an access token' } : {}
  return new ReallmError('io', `${url}: the server answered ${status} ${statusText}`.trimEnd(), hint)
}

function unreachable(url: string, cause: unknown): ReallmError {
  const reason = (cause as { cause?: Error }).cause?.message ?? (cause as Error).message
  return new ReallmError('io', `${url}: the connection failed (${reason})`, {
    cause,
    hint: 'check the network; in a page, the server must allow cross-origin requests (CORS)',
  })
}

const wrongRange = (url: string) =>
  new ReallmError('io', `${url}: the server's answer does not fit the bytes that were asked for`, {
    hint: 'the file may have changed meanwhile: open it again',
  })
