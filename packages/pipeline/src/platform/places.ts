// What the pipeline asks of the file system about a place before it writes there, in Node.
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { readlink, realpath, rmdir, stat, statfs, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

/** What lies at a path, links followed; undefined when nothing does. */
export interface Entry {
  readonly kind: 'file' | 'directory' | 'other'
  /** Equal for two paths that are the same thing by way of links. */
  readonly identity: string
  /** Equal for two paths of one file system. */
  readonly device: string
  readonly bytes: number
}

export async function entryAt(path: string): Promise<Entry | undefined> {
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return (
    found && {
      kind: found.isDirectory() ? 'directory' : found.isFile() ? 'file' : 'other',
      identity: `${found.dev}:${found.ino}`,
      device: String(found.dev),
      bytes: Number(found.size),
    }
  )
}

/** The absolute path with links resolved; what does not exist yet, behind a link too, keeps its name. */
export async function realPlace(path: string): Promise<string> {
  const whole = resolve(path)
  try {
    return await realpath(whole)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const target = await readlink(whole).catch(() => undefined)
  if (target !== undefined) return realPlace(resolve(dirname(whole), target))
  return join(await realPlace(dirname(whole)), basename(whole))
}

/** Bytes that a file system has left for this user. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** Eight hexadecimal digits that no other process draws. */
export const uniqueName = (): string => randomBytes(4).toString('hex')

/** Creates a file with these contents; false when there is one already, or its directory has gone. */
export async function createNew(path: string, contents: string): Promise<boolean> {
  try {
    await writeFile(path, contents, { flag: 'wx' })
    return true
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** Removes a directory if there is nothing in it. */
export const removeEmpty = (folder: string): Promise<void> => rmdir(folder).catch(() => {})

/** Deletes a file where nothing can be waited for. */
export const rmNow = (path: string): void => rmSync(path, { force: true })
