import { bytesText, ReallmError } from '@reallm/tensor-io'
import { dirname, entryAt, freeBytes, join, open, readdir, rm, uniqueName } from '#platform'

/** The directory itself, or the nearest one above it that exists. */
export async function nearestFolder(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const found = await entryAt(at)
    if (found?.kind === 'directory') return at
    if (found) throw new ReallmError('bad-option', `${folder} cannot be made: ${at} is no directory`)
    if (dirname(at) === at) return at
  }
}

/**
 * Creates, writes and removes a small file `<name>.probe-…` in a directory, so that a place that cannot be written is
 * known before any work.
 *
 * @param bytes that will be written there at least
 * @throws `io` naming the directory and the reason
 */
export async function probe(folder: string, name: string, bytes: number): Promise<void> {
  const path = join(folder, `${name}.probe-${uniqueName()}`)
  try {
    const file = await open(path, 'w')
    try {
      await file.write(new Uint8Array(4096), 0, 4096, 0)
      await file.sync()
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
    await removeLeft(folder, name)
    const free = await freeBytes(folder)
    if (free < bytes) throw lacking(folder, bytes, free)
  } catch (cause) {
    throw placeError(cause, folder)
  }
}

/** Removes what probes of killed runs have left; a run that is probing now does not mind. */
async function removeLeft(folder: string, name: string): Promise<void> {
  const start = `${name}.probe-`
  const left = (await readdir(folder)).filter(
    each => each.startsWith(start) && /^[0-9a-f]{8}$/.test(each.slice(start.length)),
  )
  for (const each of left) await rm(join(folder, each), { force: true })
}

const lacking = (folder: string, bytes: number, free: number) =>
  new ReallmError('io', `${folder}: ${bytesText(bytes)} will be written, ${bytesText(free)} are free`, {
    hint: 'free some space, or choose another output',
  })

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'there is no permission to write',
  EPERM: 'there is no permission to write',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  ENOTDIR: 'a part of the path is a file',
  ENOENT: 'no file can be made there',
}

/** One error for a place that cannot be written, naming it and the reason. */
export function placeError(cause: unknown, place: string): ReallmError {
  if (cause instanceof ReallmError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const reason = reasons[code ?? ''] ?? message
  return new ReallmError('io', `${place} cannot be written: ${reason}`, {
    hint: 'choose another output',
    cause,
  })
}
