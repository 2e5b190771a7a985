// What tests of the site share: the built site, a server for it, a real browser.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import { type RunningServer, serve } from '../server/serve.ts'

const docs = join(import.meta.dirname, '..')
const vitepress = join(docs, '.vitepress')
const builder = join(docs, 'node_modules', 'vitepress', 'bin', 'vitepress.js')
const stamp = join(vitepress, 'cache', 'built')

/** Path of a Chromium: `CHROMIUM_PATH`, or where Linux distributions put it. */
export const chromiumPath = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
].find(path => path !== undefined && existsSync(path))

if (!chromiumPath) {
  console.warn('The site is not tested: there is no Chromium. Install it, or set CHROMIUM_PATH.')
}

/** A server for the built site, and a browser. */
export interface TestedSite {
  readonly browser: Browser
  readonly isolated: RunningServer
  /** Without COOP and COEP: one thread. */
  readonly plain: RunningServer
  close(): Promise<void>
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] })

/** Builds the site if its sources have changed, serves it twice and starts Chromium. */
export async function openSite(): Promise<TestedSite> {
  await build()
  const folder = join(vitepress, 'dist')
  const isolated = await serve({ folder })
  const plain = await serve({ folder, isolated: false })
  const browser = await openBrowser()
  return {
    browser,
    isolated,
    plain,
    async close() {
      await browser.close()
      await Promise.all([isolated.close(), plain.close()])
    },
  }
}

/** Test files run side by side: the first one here builds, the others wait. */
async function build(): Promise<void> {
  const wanted = digest()
  const isBuilt = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  if (isBuilt()) return
  const lock = join(vitepress, 'cache', 'building')
  await mkdir(join(vitepress, 'cache'), { recursive: true })
  while (!(await taken(lock))) await new Promise(resolve => setTimeout(resolve, 500))
  try {
    if (isBuilt()) return
    await promisify(execFile)(process.execPath, [builder, 'build', docs], { maxBuffer: 2 ** 26 })
    await writeFile(stamp, wanted)
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

/** Whether this process has the lock now; one that was left behind ten minutes ago counts for nothing. */
async function taken(lock: string): Promise<boolean> {
  try {
    await mkdir(lock)
    return true
  } catch {
    const old = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0) > 600_000
    if (old) await rm(lock, { recursive: true, force: true })
    return false
  }
}

// `tmp` is where tests write the snippets of READMEs
const skipped = /^(node_modules|dist|cache|tmp|\.temp|\.turbo|test|examples|.*\.test\.ts)$/

/** Digest of everything that the built site depends on. */
function digest(): string {
  const hash = createHash('sha256')
  const add = (path: string): void => {
    if (statSync(path).isFile()) return void hash.update(path.slice(docs.length)).update(readFileSync(path))
    for (const name of readdirSync(path).sort()) if (!skipped.test(name)) add(join(path, name))
  }
  add(docs)
  add(join(docs, '..', 'pnpm-lock.yaml'))
  for (const name of readdirSync(join(docs, '..', 'packages'))) add(join(docs, '..', 'packages', name))
  return hash.digest('hex')
}
