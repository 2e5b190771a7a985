import type { FileHandle } from 'node:fs/promises'
import { fileError } from './file-error.ts'
import { makeFolder } from './make-folder.ts'
import { nodeModule } from './node.ts'

/** A file that appears under its name only when it is complete. */
export interface AtomicFile {
  readonly path: string
  /** Writes all bytes at a position counted from the start. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Flushes what was written to the disk, where a full one shows at the latest. */
  flush(): Promise<void>
  /** Flushes to the disk and gives the file its name; an older file of that name is replaced. */
  commit(): Promise<void>
  /** Deletes what was written. Harmless after `commit`. */
  abort(): Promise<void>
}

/**
 * Starts writing a file under the temporary name `<path>.partial`; missing directories are made. A failed write
 * (`io`, for example when the disk is full) deletes it.
 */
export async function createAtomicFile(path: string): Promise<AtomicFile> {
  const fs = nodeModule('fs/promises')
  const partial = `${path}.partial`
  let file: FileHandle | undefined

  async function abort(): Promise<void> {
    if (!file) return
    await file.close().catch(() => {})
    file = undefined
    await fs.rm(partial, { force: true })
  }

  async function orAbort<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      await abort()
      throw fileError(cause, path, 'write')
    }
  }

  async function open(): Promise<FileHandle> {
    await makeFolder(nodeModule('path').dirname(path))
    return fs.open(partial, 'w')
  }

  async function commit(): Promise<void> {
    await file?.sync()
    await file?.close()
    await fs.rename(partial, path)
    file = undefined
  }

  file = await orAbort(open())
  return {
    path,
    write: (bytes, position) => orAbort(writeAll(file!, bytes, position)),
    flush: () => orAbort(file!.sync()),
    commit: () => orAbort(commit()),
    abort,
  }
}

/** Writes a whole file by way of a temporary name. */
export async function writeFileAtomic(path: string, contents: Uint8Array | string): Promise<void> {
  const file = await createAtomicFile(path)
  await file.write(typeof contents === 'string' ? new TextEncoder().encode(contents) : contents, 0)
  await file.commit()
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(2 ** 30, bytes.length - at), position + at)
    at += bytesWritten
  }
}
