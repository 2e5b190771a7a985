import { fetchRange } from '@reallm/tensor-io'

/** The part of a browser's `Cache` that is used. */
export interface ByteCache {
  match(url: string): Promise<Response | undefined>
  put(url: string, response: Response): Promise<void>
  delete(url: string): Promise<boolean>
}

/** Bytes that are fetched and kept together. */
const CHUNK = 1 << 22
const digestHeader = 'x-sha-256'
const tagHeader = 'x-version'

/** What tells one version of a file from another, and its size. */
interface Version {
  readonly size: number
  readonly tag: string
}

/** The browser's cache of that name; undefined where there is none (Node, insecure pages). */
export const openCache = async (name: string): Promise<ByteCache | undefined> =>
  typeof caches === 'undefined' ? undefined : caches.open(name)

/**
 * A `fetch` for range requests that keeps what it fetched, 4 MiB at a time, and checks the SHA-256 of what it finds:
 * damaged pieces are fetched again, all of them when the file has changed. Without a network the cache alone answers.
 */
export function cachingFetch(cache: ByteCache, network: typeof fetch = fetch): typeof fetch {
  const versions = new Map<string, Promise<Version | undefined>>()

  return async (input, init) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get('range') ?? '')
    if (!range || (init?.method ?? 'GET') !== 'GET') return network(input, init)
    const url = String(input)
    const known = versions.get(url) ?? versionOf(cache, network, url, init)
    versions.set(url, known)
    const version = await known
    if (!version) {
      versions.delete(url)
      return network(input, init)
    }
    const start = Number(range[1])
    const end = Math.min(Number(range[2]) + 1, version.size)
    if (start >= end) return network(input, init)
    const bytes = new Uint8Array(end - start)
    for (let chunk = Math.floor(start / CHUNK); chunk * CHUNK < end; chunk++) {
      const from = chunk * CHUNK
      const piece = await chunkOf(cache, network, url, chunk, version, init)
      const low = Math.max(start, from)
      const high = Math.min(end, from + piece.length)
      bytes.set(piece.subarray(low - from, high - from), low - start)
    }
    return new Response(bytes, {
      status: 206,
      headers: { 'Content-Range': `bytes ${start}-${end - 1}/${version.size}`, ETag: version.tag },
    })
  }
}

const keyOf = (url: string, what: string | number) =>
  `${url}${url.includes('?') ? '&' : '?'}reallm-part=${what}`

/** Asks the server once; undefined for files that do not come in ranges, or of which no version is told. */
async function versionOf(
  cache: ByteCache,
  network: typeof fetch,
  url: string,
  init: RequestInit | undefined,
): Promise<Version | undefined> {
  const key = keyOf(url, 'version')
  const stored = await cache.match(key)
  const before = stored ? ((await stored.json()) as Version) : undefined
  let response: Response
  try {
    response = await network(url, { ...init, headers: { Range: 'bytes=0-0' } })
  } catch (error) {
    if (before && !init?.signal?.aborted) return before
    throw error
  }
  const size = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1])
  await response.body?.cancel()
  if (response.status !== 206 || !Number.isSafeInteger(size)) return undefined
  const tag = response.headers.get('etag') ?? response.headers.get('last-modified') ?? ''
  // nothing tells the next version from this one
  if (tag === '') return undefined
  if (before && before.size === size && before.tag === tag) return before
  if (before) {
    for (let chunk = 0; chunk * CHUNK < before.size; chunk++) await cache.delete(keyOf(url, chunk))
  }
  const version = { size, tag }
  await cache.put(key, new Response(JSON.stringify(version)))
  return version
}

async function chunkOf(
  cache: ByteCache,
  network: typeof fetch,
  url: string,
  chunk: number,
  version: Version,
  init: RequestInit | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = keyOf(url, chunk)
  const from = chunk * CHUNK
  const to = Math.min(version.size, from + CHUNK)
  const stored = await cache.match(key)
  if (stored?.headers.get(tagHeader) === encodeURIComponent(version.tag)) {
    const bytes = new Uint8Array(await stored.arrayBuffer())
    if (bytes.length === to - from && (await digest(bytes)) === stored.headers.get(digestHeader)) return bytes
  }
  const options = { fetch: network, signal: init?.signal ?? undefined }
  const { bytes: file, partial } = await fetchRange(url, [from, to], options, version)
  const bytes = partial ? file : file.slice(from, to)
  const headers = { [digestHeader]: await digest(bytes), [tagHeader]: encodeURIComponent(version.tag) }
  // a full disk or a refused quota only costs the next visit a download
  await cache.put(key, new Response(bytes, { headers })).catch(() => {})
  return bytes
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(hash, byte => byte.toString(16).padStart(2, '0')).join('')
}
