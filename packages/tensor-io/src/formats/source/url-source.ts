import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { fetchRange, request, send, type UrlOptions, wrongRange } from './fetch-range.ts'
import { type ByteSource, bytesSource, checkRange } from './source.ts'

/** Bytes fetched with the first request: small files and most headers take no second one. */
const firstBytes = 1 << 16

/**
 * A file behind HTTP(S), read by range requests. A server that ignores ranges sends the whole file once; it is
 * then kept in memory. All bytes are of the version that the first request met.
 *
 * @throws `not-found` on 404; `integrity` when the file changes while it is read; `io` on other failures
 */
export async function openUrlSource(url: string, options: UrlOptions = {}): Promise<ByteSource> {
  const { bytes: head, partial, version } = await fetchRange(url, [0, firstBytes], options)
  if (!partial) return bytesSource(url, head)
  // a cross-origin server may hide Content-Range, but never Content-Length
  const size = version.size ?? (await sizeByHead(url, options))
  if (head.length !== Math.min(size, firstBytes)) throw wrongRange(url)

  let whole: ByteSource | undefined
  const reading =
    (inPlace: boolean): ByteSource['read'] =>
    async (start, end, { signal = options.signal } = {}) => {
      checkRange(url, size, start, end)
      throwIfAborted(signal)
      if (end <= head.length) return head.slice(start, end)
      if (whole) return whole.read(start, end)
      const asked = { ...options, signal, view: inPlace }
      const fetched = await fetchRange(url, [start, end], asked, { size, tag: version.tag })
      const wanted = fetched.partial ? end - start : size
      if (fetched.bytes.length !== wanted) throw wrongRange(url)
      if (fetched.partial) return fetched.bytes
      whole = bytesSource(url, fetched.bytes)
      return whole.read(start, end)
    }
  return {
    name: url,
    size,
    read: reading(false),
    view: reading(true),
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

async function sizeByHead(url: string, options: UrlOptions): Promise<number> {
  const response = await send(url, { method: 'HEAD' }, options)
  const length = response.headers.get('content-length')
  if (!response.ok || length === null) throw wrongRange(url)
  return Number(length)
}
