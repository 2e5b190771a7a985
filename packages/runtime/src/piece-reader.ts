type Bytes = Uint8Array<ArrayBuffer>

/** A piece of a file as a browser's cache has it. */
interface KeptPiece {
  readonly bytes: Bytes
  /** SHA-256 of the bytes. */
  readonly sha256: Bytes
  /** What was noted when it was kept. */
  readonly headers: Headers
}

/** Reads pieces of files from a cache. */
export interface PieceReader {
  /** Undefined where the cache has none. */
  read(key: string): Promise<KeptPiece | undefined>
  close(): void
}

/** The part of `Cache` that is read. */
interface Matches {
  match(key: string): Promise<Response | undefined>
}

/** Reads in the thread that asks. */
export const readerHere = (cache: Matches): PieceReader => ({
  async read(key) {
    const found = await cache.match(key)
    if (!found) return undefined
    const bytes = new Uint8Array(await found.arrayBuffer())
    return { bytes, sha256: await sha256(bytes), headers: found.headers }
  },
  close() {},
})

export const sha256 = async (bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))

const script = `onmessage = async ({ data: { name, key, id } }) => {
  try {
    const found = await (await caches.open(name)).match(key)
    const bytes = await found?.arrayBuffer()
    const sha256 = bytes && await crypto.subtle.digest('SHA-256', bytes)
    postMessage({ id, piece: bytes && { bytes, sha256, headers: [...found.headers] } }, bytes ? [bytes, sha256] : [])
  } catch { postMessage({ id, failed: true }) }
}`

interface Answer {
  readonly id: number
  readonly failed?: true
  readonly piece?: {
    readonly bytes: ArrayBuffer
    readonly sha256: ArrayBuffer
    readonly headers: [string, string][]
  }
}

/**
 * Reads in a thread of its own, where there can be one: in Workers, Chromium computes digests in the thread that asks for them.
 *
 * @param name of the cache
 */
export function readerBeside(cache: Matches, name: string): PieceReader {
  const here = readerHere(cache)
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
  const waiting = new Map<number, (answer: Answer | undefined) => void>()
  let last = 0
  let worker: Worker | undefined
  const close = () => {
    worker?.terminate()
    worker = undefined
    URL.revokeObjectURL(url)
    for (const answered of waiting.values()) answered(undefined)
    waiting.clear()
  }
  try {
    worker = new Worker(url)
    worker.onerror = close
    worker.onmessage = ({ data }: { data: Answer }) => {
      waiting.get(data.id)?.(data)
      waiting.delete(data.id)
    }
  } catch {
    close() // a page may forbid it
  }
  return {
    async read(key) {
      const thread = worker
      if (!thread) return here.read(key)
      const id = ++last
      const answer = await new Promise<Answer | undefined>(resolve => {
        waiting.set(id, resolve)
        thread.postMessage({ name, key, id })
      })
      if (!answer || answer.failed) return here.read(key)
      const { piece } = answer
      return (
        piece && {
          bytes: new Uint8Array(piece.bytes),
          sha256: new Uint8Array(piece.sha256),
          headers: new Headers(piece.headers),
        }
      )
    },
    close,
  }
}
