// What the pipeline needs of the machine, in a page or Worker: files lie in memory, everything runs in this thread.
import { usePageFiles } from '@reallm/tensor-io'
import type * as node from './node.ts'
import { sha256 } from './sha256.ts'

const { fs, path } = usePageFiles()

export const { mkdir, mkdtemp, open, readdir, rename, rm } = fs
export const { basename, dirname, join, resolve } = path

/** A file in memory, or one that came with the page. */
export async function readFile(from: string | URL, encoding?: 'utf8'): Promise<unknown> {
  if (!(from instanceof URL)) return fs.readFile(from, encoding)
  const response = await fetch(from)
  if (!response.ok) throw new Error(`${from}: the server answered ${response.status}`)
  return encoding ? response.text() : new Uint8Array(await response.arrayBuffer())
}

/** A page's files have no links. */
export const realPlace: typeof node.realPlace = async path => resolve(path)

export const entryAt: typeof node.entryAt = async path => {
  const found = await fs.stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const kind = found?.isDirectory() ? 'directory' : 'file'
  return found && { kind, identity: resolve(path), device: 'memory', bytes: found.size }
}

/** Memory is not asked how much there is. */
export const freeBytes: typeof node.freeBytes = async () => Number.POSITIVE_INFINITY
export const uniqueName: typeof node.uniqueName = () => crypto.randomUUID().slice(0, 8)

/** No other process sees a page's files: nothing is locked. */
export const thisProcess = undefined
export const isRunning: typeof node.isRunning = async () => undefined
export const onExit: typeof node.onExit = () => () => {}
export const createNew: typeof node.createNew = async () => false
export const removeEmpty: typeof node.removeEmpty = async () => {}
export const rmNow: typeof node.rmNow = () => {}

export const createHash = (_name: 'sha256') => sha256()
export const availableParallelism: typeof node.availableParallelism = () => 1
export const tmpdir: typeof node.tmpdir = () => '/tmp'

/** A page keeps nothing that outlives it. */
export const packageVersion: typeof node.packageVersion = () => ''
export const cacheFolder: typeof node.cacheFolder = () => '/cache'

/** Pages cannot tell; one thread works all the time. */
export const cpuSeconds: typeof node.cpuSeconds = () => performance.now() / 1000

/** Unknown to pages, or of all of the page. */
export const peakMemory: typeof node.peakMemory = () =>
  (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0

export const engineName: typeof node.engineName = () => navigator.userAgent

export const pause: typeof node.pause = () => new Promise(resolve => setTimeout(resolve))

/** Pages collect garbage by themselves. */
export const collectGarbage: typeof node.collectGarbage = () => {}
