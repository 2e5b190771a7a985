import type { Kept } from '@reallm/eval'
import { type LongWork, warn, writeFileAtomic } from '@reallm/tensor-io'
import { cacheFolder, createHash, dirname, join, mkdir, packageVersion, readFile } from '#platform'

/** Everything that decides about the results, as plain values. */
export type ResultsOf = Readonly<Record<string, string | number | boolean | null>>

/** Results of earlier runs, and a place for new ones. */
export interface KeptResults<T> extends Kept<T> {
  /** How many there were. */
  readonly found: number
  /** Writes what is not written yet. */
  close(): Promise<void>
}

/** Milliseconds of work that a killed process may lose. */
const writeAfter = 2000

/**
 * Results item by item, kept in `evaluations` of the cache folder under a digest of all that decides about them and of this
 * version: a run that was killed goes on, one that was complete is not repeated. A cache that cannot be used is a warning.
 */
export async function keptResults<T>(of: ResultsOf, work: LongWork): Promise<KeptResults<T>> {
  const identity = { ...of, version: packageVersion() }
  const name = createHash('sha256').update(JSON.stringify(identity)).digest('hex')
  const path = join(cacheFolder(), 'evaluations', `${name}.json`)
  const items = new Map<number, T>(await readItems<T>(path, work))
  const found = items.size
  let [written, unwritten, usable] = [Date.now(), 0, true]
  async function write(): Promise<void> {
    if (!usable || unwritten === 0) return
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFileAtomic(path, JSON.stringify({ identity, items: [...items] }))
    } catch (error) {
      usable = false
      warn(work, `measurements are not kept: ${(error as Error).message}`)
    }
    written = Date.now()
    unwritten = 0
  }
  return {
    found,
    get: item => items.get(item),
    async put(item, value) {
      items.set(item, value)
      unwritten++
      if (Date.now() - written > writeAfter) await write()
    },
    close: write,
  }
}

async function readItems<T>(path: string, work: LongWork): Promise<[number, T][]> {
  try {
    const { items } = JSON.parse(new TextDecoder().decode(await readFile(path))) as { items: [number, T][] }
    return items
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn(work, `${path} is not used: ${(error as Error).message}`)
    }
    return []
  }
}

/** SHA-256 of values in an order: what results are kept under. */
export const digestOf = (...values: unknown[]): string =>
  createHash('sha256').update(jsonOf(values)).digest('hex')

/** JSON; large whole numbers, as Parquet has them, are texts. */
export const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part))
