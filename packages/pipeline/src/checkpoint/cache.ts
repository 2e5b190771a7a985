import { type LongWork, warn, writeFileAtomic } from '@reallm/tensor-io'
import { basename, dirname, join, readdir, readFile, rm } from '#platform'
import { type Checkpoint, checkpointIn } from './checkpoint.ts'
import type { Key } from './keys.ts'

/** What a cache folder keeps of a checkpoint: the files of `folder`, and one value that completes them. */
export interface Kept<T> {
  readonly folder: string
  readonly completedBy: Key<T>
}

/**
 * Copies what `storeInCache` has kept into a checkpoint and returns the completing value, which is not copied; undefined
 * when nothing is kept. A cache that cannot be read is a warning, not an error.
 */
export async function restoreFromCache<T>(
  cached: string,
  checkpoint: Checkpoint,
  { folder, completedBy }: Kept<T>,
  work: LongWork,
): Promise<T | undefined> {
  try {
    const from = checkpointIn(cached)
    const value = await from.get(completedBy)
    if (value !== undefined) await copy(from, checkpoint, folder)
    return value
  } catch (error) {
    warn(work, `the cache is not used: ${(error as Error).message}`)
    return undefined
  }
}

/**
 * Keeps a checkpoint's values in a cache folder; of folders whose names are alike up to the last hyphen, only the newest
 * stays. A cache that cannot be written is a warning, not an error.
 */
export async function storeInCache<T>(
  cached: string,
  checkpoint: Checkpoint,
  { folder, completedBy }: Kept<T>,
  value: T,
  work: LongWork,
): Promise<void> {
  try {
    const to = checkpointIn(cached)
    await copy(checkpoint, to, folder)
    // Comes last: a folder that has it is whole.
    await to.put(completedBy, value)
    const kind = basename(cached).replace(/[^-]*$/, '')
    for (const name of await readdir(dirname(cached))) {
      if (name.startsWith(kind) && name !== basename(cached))
        await rm(join(dirname(cached), name), { recursive: true, force: true })
    }
  } catch (error) {
    warn(work, `measurements are not kept: ${(error as Error).message}`)
  }
}

async function copy(from: Checkpoint, to: Checkpoint, folder: string): Promise<void> {
  const target = await to.folder(folder)
  const source = await from.folder(folder)
  for (const name of await readdir(source))
    await writeFileAtomic(join(target, name), await readFile(join(source, name)))
}
