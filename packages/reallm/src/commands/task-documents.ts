import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Task } from '@reallm/eval'
import { readNamed } from '../read-named.ts'

/**
 * The documents of a benchmark: from `<task>.parquet`, `.jsonl` or `.json` in a folder, or from the hub.
 *
 * @throws `not-found` for a folder that has none of these
 */
export async function documentsFor(
  task: Task,
  folder: string | undefined,
  signal: AbortSignal,
): Promise<unknown[]> {
  const { documentsOf, downloadDocuments } = await import('@reallm/eval')
  if (folder === undefined) return downloadDocuments(task, { signal })
  const names = ['parquet', 'jsonl', 'json'].map(ending => `${task.name}.${ending}`)
  const there = await readdir(folder)
  const name = names.find(name => there.includes(name))
  if (name === undefined) {
    const { ReallmError } = await import('@reallm/tensor-io')
    throw new ReallmError('not-found', `${folder} has no data of ${task.name}`, {
      hint: `put one of ${names.join(', ')} into it`,
    })
  }
  return documentsOf(join(folder, name), await readNamed(join(folder, name)))
}
