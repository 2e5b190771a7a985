import { fetchRange, type RecentlyUsed, recentlyUsed } from '@reallm/tensor-io'
import { type PieceReader, readerBeside, readerHere, sha256 } from './piece-reader.ts'

/** The part of a browser's `Cache` that is used. */
export interface ByteCache {
  match(url: string): Promise<Response | undefined>
  put(url: string, response: Response): Promise<void>
  delete(url: string): Promise<boolean>
}

/** Bytes that are fetched and kept together. */
const CHUNK = 1 << 23
/** Pieces of at least so many bytes are worth a message to another thread. */
const LARGE = 1 << 20
/** Pieces that stay in memory: layers come in the order of their numbers, which files hold in that of their names. */
const IN_MEMORY = 8
const digestHeader = 'x-sha-256'
const tagHeader = 'x-version'

/** What tells one version of a file from another, and its size. */
interface Version {
  readonly size: number
  readonly tag: string
}

type Bytes = Uint8Array<ArrayBuffer>

/** The `fetch` of a browser's cache of this name. Large pieces are read beside the thread that asks, until it is closed. */
export async function openCachingFetch(name: string): Promise<{ fetch: typeof fetch; close(): void }> {
  const cache = await caches.open(name)
  const beside = readerBeside(cache, name)
  return { fetch: cachingFetch(cache, fetch, beside), close: beside.close }
}

/**
 * A `fetch` for range requests that keeps what it fetched, 8 MiB at a time, and checks the SHA-256 of what it finds:
 * damaged pieces are fetched again, all of them when the file has changed. Without a network the cache alone answers.
 */
export function cachingFetch(
  cache: ByteCache,
  network: typeof fetch = fetch,
  large: PieceReader = readerHere(cache),
): typeof fetch {
  const readers = { small: readerHere(cache), large }
  const versions = new Map<string, Promise<Version | undefined>>()
  const inMemory = recentlyUsed<string, Promise<Bytes | undefined>>(IN_MEMORY)

  return async (input, init) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get('range') ?? '')
    if (!range || (init?.method ?? 'GET') !== 'GET') return network(input, init)
    const url = String(input)
    const start = Number(range[1])
    const file: CachedFile = { cache, readers, inMemory, network, url, init }
    const known = versions.get(url) ?? versionOf(file, Math.floor(start / CHUNK))
    versions.set(url, known)
    const version = await known.catch((error: unknown) => {
      versions.delete(url)
      throw error
    })
    if (!version) {
      versions.delete(url)
      return network(input, init)
    }
    const end = Math.min(Number(range[2]) + 1, version.size)
    if (start >= end) return network(input, init)
    const parts: Bytes[] = []
    for (let chunk = Math.floor(start / CHUNK); chunk * CHUNK < end; chunk++) {
      const from = chunk * CHUNK
      parts.push((await chunkOf(file, chunk, version)).subarray(Math.max(0, start - from), end - from))
    }
    // as a stream, parts come to the reader without being copied
    const body = new ReadableStream({
      start(controller) {
        for (const part of parts) controller.enqueue(part)
        controller.close()
      },
    })
    return new Response(body, {
      status: 206,
      headers: { 'Content-Range': `bytes ${start}-${end - 1}/${version.size}`, ETag: version.tag },
    })
  }
}

/** A file behind a URL, and where its pieces are kept. */
interface CachedFile {
  readonly cache: ByteCache
  readonly readers: { readonly small: PieceReader; readonly large: PieceReader }
  readonly inMemory: RecentlyUsed<string, Promise<Bytes | undefined>>
  readonly network: typeof fetch
  readonly url: string
  readonly init: RequestInit | undefined
}

const keyOf = (url: string, what: string | number) =>
  `${url}${url.includes('?') ? '&' : '?'}reallm-part=${what}`

/**
 * Asks the server once, for one byte; where nothing is kept yet, for the piece that is wanted. Undefined for files that do not
 * come in ranges, or of which no version is told.
 */
async function versionOf(file: CachedFile, chunk: number): Promise<Version | undefined> {
  const { cache, network, url, init } = file
  const key = keyOf(url, 'version')
  const stored = await cache.match(key)
  const before = stored ? ((await stored.json()) as Version) : undefined
  // read while the server is asked
  if (before) void keptPiece(file, chunk, before)
  const [from, to] = before ? [0, 1] : [chunk * CHUNK, (chunk + 1) * CHUNK]
  let response: Response
  try {
    response = await network(url, { ...init, headers: { Range: `bytes=${from}-${to - 1}` } })
  } catch (error) {
    if (before && !init?.signal?.aborted) return before
    throw error
  }
  const [, first, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? []
  const tag = response.headers.get('etag') ?? response.headers.get('last-modified') ?? ''
  const version = { size: Number(size), tag }
  // without a tag, nothing tells the next version from this one
  const told = response.status === 206 && Number.isSafeInteger(version.size) && tag !== ''
  if (before || !told) await response.body?.cancel()
  if (!told) return undefined
  if (before && before.size === version.size && before.tag === tag) return before
  for (let old = 0; before && old * CHUNK < before.size; old++) await cache.delete(keyOf(url, old))
  await cache.put(key, new Response(JSON.stringify(version)))
  if (!before && Number(first) === from) {
    // what does not come whole is asked for again
    const bytes = new Uint8Array(await response.arrayBuffer().catch(() => new ArrayBuffer(0)))
    if (bytes.length === Math.min(to, version.size) - from) await keep(file, chunk, version, bytes)
  } else if (!before) await response.body?.cancel()
  return version
}

/** A piece that is kept; undefined where there is none of this version, and for a damaged one. */
function keptPiece(file: CachedFile, chunk: number, version: Version): Promise<Bytes | undefined> {
  const { readers, inMemory, url } = file
  const key = keyOf(url, chunk)
  const id = inMemoryId(key, version)
  const begun = inMemory.get(id)
  if (begun) return begun
  const size = sizeOf(chunk, version)
  const read = async () => {
    const stored = await readers[size < LARGE ? 'small' : 'large'].read(key)
    if (stored?.headers.get(tagHeader) !== encodeURIComponent(version.tag)) return undefined
    const { bytes, sha256 } = stored
    return bytes.length === size && hex(sha256) === stored.headers.get(digestHeader) ? bytes : undefined
  }
  // what the cache cannot read is fetched
  const piece = read().catch(() => undefined)
  inMemory.set(id, piece)
  return piece
}

const sizeOf = (chunk: number, { size }: Version) => Math.min(CHUNK, size - chunk * CHUNK)

const inMemoryId = (key: string, { tag }: Version) => `${key} ${tag}`

async function chunkOf(file: CachedFile, chunk: number, version: Version): Promise<Bytes> {
  const kept = await keptPiece(file, chunk, version)
  if (kept) return kept
  const { network, url, init } = file
  const from = chunk * CHUNK
  const to = from + sizeOf(chunk, version)
  const options = { fetch: network, signal: init?.signal ?? undefined }
  const { bytes: fetched, partial } = await fetchRange(url, [from, to], options, version)
  const bytes = partial ? fetched : fetched.slice(from, to)
  await keep(file, chunk, version, bytes)
  return bytes
}

async function keep({ cache, inMemory, url }: CachedFile, chunk: number, version: Version, bytes: Bytes) {
  const key = keyOf(url, chunk)
  inMemory.set(inMemoryId(key, version), Promise.resolve(bytes))
  const headers = { [digestHeader]: hex(await sha256(bytes)), [tagHeader]: encodeURIComponent(version.tag) }
  // a full disk or a refused quota only costs the next visit a download
  await cache.put(key, new Response(bytes, { headers })).catch(() => {})
}

const hex = (digest: Bytes): string => Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
