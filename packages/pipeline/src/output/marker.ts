import { writeFileAtomic } from '@reallm/tensor-io'
import { createHash, entryAt, readFile } from '#platform'

/** How a written file is known again: its size and, for all but large ones, its digest. */
export interface WrittenFile {
  readonly bytes: number
  readonly sha256?: string
}

/** What earlier runs wrote to a place. */
export interface Marker {
  /** What tells the run from others, see `Destination.isPublished`. */
  readonly run?: string
  readonly files: Readonly<Record<string, WrittenFile>>
  /** A publication that has begun: files still to come from a directory in the work directory. */
  readonly moving?: { readonly from: string; readonly files: readonly string[] }
}

/** Larger files are told apart by their size alone. */
const LARGEST_DIGESTED = 2 ** 20

/** The marker at `path`; one without files when there is none, or it is none of ours. */
export async function readMarker(path: string): Promise<Marker> {
  if (!(await entryAt(path))) return { files: {} }
  try {
    const found = JSON.parse(await readFile(path, 'utf8')) as Partial<Marker>
    const { run, files, moving } = found
    return {
      files: Object.fromEntries(Object.entries(files ?? {})),
      ...(run && { run }),
      ...(moving && { moving }),
    }
  } catch {
    return { files: {} }
  }
}

export const writeMarker = (path: string, marker: Marker): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify({ writtenBy: 'reallm', ...marker }, null, 2)}\n`)

/** What a marker says of the file at `path`; undefined when there is no file. */
export async function describeFile(path: string): Promise<WrittenFile | undefined> {
  const entry = await entryAt(path)
  if (entry?.kind !== 'file') return undefined
  if (entry.bytes > LARGEST_DIGESTED) return { bytes: entry.bytes }
  const contents = await readFile(path)
  return { bytes: entry.bytes, sha256: createHash('sha256').update(contents).digest('hex') }
}

/** Whether the file at `path` is still what was written. */
export async function isUnchanged(path: string, written: WrittenFile): Promise<boolean> {
  const found = await describeFile(path)
  return found?.bytes === written.bytes && found.sha256 === written.sha256
}
