import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, ReallmError, writeFileAtomic } from '@reallm/tensor-io'
import type { SharedFiles } from './shared-files.ts'

/** Files of a directory, which is made if needed; throws `io` when it cannot be. */
export async function directoryFiles(directory: string): Promise<SharedFiles> {
  const refused = (path: string, cause: unknown) =>
    new ReallmError('io', `${path}: ${(cause as Error).message}`, {
      hint: '--shared is a directory that all machines see and may write to, or s3://bucket/prefix',
      cause,
    })
  await makeFolder(directory).catch((cause: unknown) => {
    throw refused(directory, cause)
  })
  async function read(name: string): Promise<Uint8Array | undefined> {
    const path = join(directory, name)
    try {
      return await readFile(path)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw refused(path, cause)
    }
  }
  return {
    write: (name, contents) => writeFileAtomic(join(directory, name), contents),
    read,
    has: async name => (await read(name)) !== undefined,
    remove: name => rm(join(directory, name), { force: true }),
    close: () => {},
  }
}
