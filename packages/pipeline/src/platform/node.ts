// What the pipeline needs of the machine, in Node; page.ts has the same for pages.
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { makeFolder } from '@reallm/tensor-io'

export { createHash } from 'node:crypto'
export { type FileHandle, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
export { availableParallelism, tmpdir } from 'node:os'
export { basename, dirname, join, resolve } from 'node:path'
export {
  createNew,
  type Entry,
  entryAt,
  freeBytes,
  realPlace,
  removeEmpty,
  rmNow,
  uniqueName,
} from './places.ts'
export { isRunning, onExit, type ProcessIdentity, thisProcess } from './processes.ts'

/** Where measurements are kept: `REALLM_CACHE`, else `reallm` in the user's cache directory. */
export const cacheFolder = (): string =>
  process.env.REALLM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'reallm')

export const mkdir = (path: string, _options: { recursive: true }): Promise<void> => makeFolder(path)

/** Of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return version
}

/** Processor time of this process so far. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Peak memory of this process, in bytes. */
export const peakMemory = (): number => process.resourceUsage().maxRSS * 1024

/** What runs this: a version of Node, or a browser. */
export const engineName = (): string => process.version

/** Lets other work go on. */
export const pause = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

let collect: (() => void) | undefined

/** Frees what nothing refers to any more. */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}
