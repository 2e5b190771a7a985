import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'

/** Bytes that can be read in pieces, wherever they are. */
export interface ByteSource {
  /** What errors call it: a file name or URL. */
  readonly name: string
  /** In bytes. */
  readonly size: number
  /** Bytes `start` to `end` (exclusive) in a buffer of their own. */
  read(start: number, end: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>
  /** The same, perhaps in memory that the source keeps, which nobody may write to; absent where that is no quicker. */
  view?(start: number, end: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>
  close(): Promise<void>
}

/** Options of reading bytes. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined
}

/** Bytes in memory; reads copy. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    async read(start, end, { signal } = {}) {
      throwIfAborted(signal)
      checkRange(name, bytes.byteLength, start, end)
      return new Uint8Array(bytes.subarray(start, end))
    },
    close: async () => {},
  }
}

/** A Blob or a dropped File; only the ranges asked for are read. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(start, end, { signal } = {}) {
      throwIfAborted(signal)
      checkRange(name, blob.size, start, end)
      const bytes = await blob
        .slice(start, end)
        .arrayBuffer()
        .catch((cause: unknown) => {
          throw new ReallmError('io', `${name}: cannot read it (${(cause as Error).message})`, { cause })
        })
      return new Uint8Array(bytes)
    },
    close: async () => {},
  }
}

/** All bytes of a source. */
export const readAll = (source: ByteSource, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> =>
  source.read(0, source.size, options)

/** Throws `bad-file` unless `0 ≤ start ≤ end ≤ size`; called before anything is allocated. */
export function checkRange(name: string, size: number, start: number, end: number): void {
  if (!(start >= 0 && start <= end && end <= size)) {
    throw new ReallmError('bad-file', `${name} has ${size} bytes; bytes ${start} to ${end} are not in it`, {
      hint: 'the file is truncated: copy or download it again',
    })
  }
}
