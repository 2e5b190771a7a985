import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { fileError } from './file-error.ts'
import { nodeModule } from './node.ts'
import { type ByteSource, checkRange } from './source.ts'

const largestRead = 2 ** 30

/**
 * A file on disk (Node only). It stays open until `close`.
 *
 * @throws `not-found` when there is none; `bad-file` for what is no regular file, for example a named pipe
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const { open, stat: statOf } = nodeModule('fs/promises')
  try {
    // before it is opened: to open a named pipe is to wait for its writer
    const before = await statOf(path)
    if (before.isDirectory()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' })
    if (!before.isFile()) {
      throw new ReallmError('bad-file', `${path} is a pipe or a device, not a file`, {
        hint: 'copy its contents into a file first',
      })
    }
    const file = await open(path, 'r')
    const stat = await file.stat()
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
