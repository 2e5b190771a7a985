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

export const createHash = (_name: 'sha256') => sha256()
export const availableParallelism: typeof node.availableParallelism = () => 1
export const tmpdir: typeof node.tmpdir = () => '/tmp'
export const cacheFolder: typeof node.cacheFolder = () => '/cache'
export const threadPool = undefined
export const queues = undefined

/** Pages cannot tell; one thread works all the time. */
export const cpuSeconds: typeof node.cpuSeconds = () => performance.now() / 1000

/** Unknown to pages, or of all of the page. */
export const peakMemory: typeof node.peakMemory = () =>
  (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0

export const engineName: typeof node.engineName = () => navigator.userAgent

export const pause: typeof node.pause = () => new Promise(resolve => setTimeout(resolve))
