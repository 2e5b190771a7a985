import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { hasNode } from './node.ts'
import type { ReadOptions } from './source.ts'

/** Options of reading over HTTP. */
export interface UrlOptions extends ReadOptions {
  /** Instead of the global `fetch`: for proxies or credentials. */
  readonly fetch?: typeof fetch | undefined
}

export interface RangeOptions extends UrlOptions {
  /** Whether the bytes may lie in memory that `fetch` keeps. */
  readonly view?: boolean | undefined
}

/** What tells one version of a file from another. */
export interface Version {
  /** In bytes; undefined where the server hides it. */
  readonly size?: number | undefined
  /** Its ETag or time of change; empty where there is neither. */
  readonly tag: string
}

/** A piece of a file, and what the server says of all of it. */
export interface Fetched {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Whether these are the bytes that were asked for; else they are the whole file. */
  readonly partial: boolean
  readonly version: Version
}

const attempts = 3
/** Connections of one body that may break. */
const mostBreaks = 8

/**
 * Fetches bytes `start` to `end` of a file, or fewer where it ends before. Requests that fail for a passing reason are
 * made three times; a connection that breaks goes on from where it broke.
 *
 * @param known the version that the bytes must belong to
 * @throws `not-found` on 404; `integrity` for bytes of another version; `io` for other ranges and failures; `aborted`
 */
export async function fetchRange(
  url: string,
  [start, end]: readonly [start: number, end: number],
  options: RangeOptions = {},
  known?: Version,
): Promise<Fetched> {
  let parts: Uint8Array<ArrayBuffer>[] = []
  let at = start
  let version = known
  for (let breaks = 1; ; breaks++) {
    const response = await request(url, [at, end], options, version)
    const answer = { size: sizeOf(response), tag: tagOf(response) }
    if (version && differ(version, answer)) {
      await response.body?.cancel()
      throw changed(url)
    }
    version ??= answer
    const partial = response.status === 206
    if (!partial) {
      // the whole file, from its start
      parts = []
      at = 0
    }
    const last = partial ? await checkContentRange(url, response, at, end) : undefined
    const most = partial ? (last ?? end) - at : Number.POSITIVE_INFINITY
    const { length, cause } = await readBody(response, most, parts)
    throwIfAborted(options.signal)
    if (length > most) throw wrongRange(url)
    at += length
    const complete = last === undefined ? !cause : at === last
    if (complete) {
      const bytes = options.view && parts.length === 1 ? parts[0] : joined(parts)
      return { bytes, partial, version }
    }
    // Chromium ends an answer early, without an error, while another page fetches the same range
    if (!cause && breaks === attempts) throw wrongRange(url)
    if (breaks === mostBreaks) throw unreachable(url, cause)
    if (!partial) at = start
    await pause(Math.min(breaks, attempts))
  }
}

/** One answer to a request for a range; a failure is passed on after three attempts, and at once where it is final. */
export async function request(
  url: string,
  range: readonly [start: number, end: number],
  options: UrlOptions,
  known?: Version,
): Promise<Response> {
  const headers: Record<string, string> = { Range: `bytes=${range[0]}-${range[1] - 1}` }
  // a page on another origin would have to ask the server first whether it may; the ETag of the answer is compared anyway
  if (hasNode() && known?.tag.startsWith('"')) headers['If-Range'] = known.tag
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(options.signal)
    const response = await send(url, { headers }, options).catch((error: ReallmError) => error)
    if (response instanceof Response) {
      if (response.ok) return response
      await response.body?.cancel()
      if (response.status === 416 && range[0] === 0) return new Response(new Uint8Array(0))
      const passing = response.status === 429 || response.status >= 500
      if (!passing || attempt === attempts) throw refused(url, response)
    } else if (attempt === attempts || response.code === 'aborted') throw response
    await pause(attempt)
  }
}

export async function send(url: string, init: RequestInit, options: UrlOptions): Promise<Response> {
  try {
    const get = options.fetch ?? fetch
    return await get(url, { ...init, signal: options.signal ?? null })
  } catch (cause) {
    throwIfAborted(options.signal)
    if (cause instanceof ReallmError) throw cause
    throw unreachable(url, cause)
  }
}

const pause = (attempt: number) => new Promise(resolve => setTimeout(resolve, 100 * 4 ** (attempt - 1)))

/** Adds the body to `parts`, or as much of it as comes; no more is read than one part over `most`. */
async function readBody(
  response: Response,
  most: number,
  parts: Uint8Array<ArrayBuffer>[],
): Promise<{ length: number; cause: unknown }> {
  const reader = response.body?.getReader()
  let length = 0
  let cause: unknown
  try {
    while (reader && length <= most) {
      const { done, value } = await reader.read()
      if (done) break
      parts.push(value)
      length += value.length
    }
    await reader?.cancel()
  } catch (error) {
    cause = error
  }
  return { length, cause }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const contentRange = /^bytes (\d+)-(\d+)\/(\d+)$/

/** The end of the range that comes; undefined where a cross-origin server hides it. */
async function checkContentRange(
  url: string,
  response: Response,
  start: number,
  end: number,
): Promise<number | undefined> {
  const header = response.headers.get('content-range')
  if (header === null) return undefined
  const [, first, last, size] = contentRange.exec(header)?.map(Number) ?? []
  if (first !== start || last + 1 !== Math.min(end, size)) {
    await response.body?.cancel()
    throw wrongRange(url)
  }
  return last + 1
}

function sizeOf(response: Response): number | undefined {
  const size = contentRange.exec(response.headers.get('content-range') ?? '')?.[3]
  return size === undefined ? undefined : Number(size)
}

const tagOf = ({ headers }: Response): string => headers.get('etag') ?? headers.get('last-modified') ?? ''

/** What one of them does not say is no difference. */
const differ = (a: Version, b: Version): boolean =>
  (a.size !== undefined && b.size !== undefined && a.size !== b.size) ||
  (a.tag !== '' && b.tag !== '' && a.tag !== b.tag)

function refused(url: string, { status, statusText }: Response): ReallmError {
  if (status === 404 || status === 410) {
    return new ReallmError('not-found', `${url}: not found (HTTP ${status})`)
  }
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

export const wrongRange = (url: string): ReallmError =>
  new ReallmError('io', `${url}: the server's answer does not fit the bytes that were asked for`, {
    hint: 'the file may have changed meanwhile: open it again',
  })

const changed = (url: string) =>
  new ReallmError('integrity', `${url}: the file changed while it was read`, { hint: 'open it again' })
