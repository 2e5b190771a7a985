import { throwIfAborted } from '../../core/progress.ts'
import { fileError, nodeModule } from './node.ts'
import { type ByteSource, checkRange } from './source.ts'

const largestRead = 2 ** 30

/** A file on disk (Node only); throws `not-found` when there is none. The file stays open until `close`. */
export async function openFileSource(path: string): Promise<ByteSource> {
  const { open } = nodeModule('fs/promises')
  try {
    const file = await open(path, 'r')
    const stat = await file.stat()
    if (!stat.isFile()) {
      await file.close()
      throw Object.assign(new Error('not a file'), { code: 'EISDIR' })
    }
    return {
      name: path,
      size: stat.size,
      async read(start, end, { signal } = {}) {
        checkRange(path, stat.size, start, end)
        const bytes = new Uint8Array(end - start)
        for (let at = 0; at < bytes.length; ) {
          throwIfAborted(signal)
          const length = Math.min(largestRead, bytes.length - at)
          const { bytesRead } = await file.read(bytes, at, length, start + at).catch((cause: unknown) => {
            throw fileError(cause, path, 'read')
          })
          if (bytesRead === 0) checkRange(path, start + at, start, end)
          at += bytesRead
        }
        return bytes
      },
      close: () => file.close(),
    }
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}
