import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { extname, normalize } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Task } from './task.ts'

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
}

/** Files by what their paths begin with; pages are cross-origin isolated. */
export async function serve(roots: Readonly<Record<string, string>>, page: string) {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const headers = {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    }
    if (url.pathname === '/')
      return void response.writeHead(200, { ...headers, 'Content-Type': 'text/html' }).end(page)
    const root = Object.keys(roots).find(prefix => url.pathname.startsWith(prefix))
    const path = root && normalize(roots[root] + url.pathname.slice(root.length))
    const size = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.size
    if (path === undefined || size === undefined) return void response.writeHead(404, headers).end()
    const type = { ...headers, 'Content-Type': types[extname(path)] ?? 'application/octet-stream' }
    const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '')
    if (!range) {
      response.writeHead(200, { ...type, 'Content-Length': size })
      return void createReadStream(path).pipe(response)
    }
    const start = Number(range[1])
    const end = Math.min(size - 1, range[2] ? Number(range[2]) : size - 1)
    response.writeHead(206, {
      ...type,
      'Content-Range': `bytes ${start}-${end}/${size}`,
      'Content-Length': end - start + 1,
    })
    createReadStream(path, { start, end }).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() }
}

interface Browser {
  newPage(): Promise<Page>
  version(): string
  close(): Promise<void>
}
interface Page {
  goto(url: string): Promise<unknown>
  evaluate<T>(script: string): Promise<T>
  exposeFunction(name: string, call: () => number): Promise<void>
  on(event: string, listener: (what: { text(): string } & Error) => void): void
}

/** Lets Chromium on Linux use the GPU's driver without a display. */
const gpuFlags = ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist']

/**
 * Opens a page in the Chromium at `CHROMIUM` (default: the one on the path) and returns what its `run` resolves to
 * within `patience` seconds. The page may call `cpuSeconds()`: processor time of the whole browser.
 */
export async function inChromium<T>(
  { folder, gpu, patience }: Pick<Task, 'folder' | 'gpu' | 'patience'>,
  url: string,
): Promise<T & { browser: string }> {
  const resolve = createRequire(`${folder}/index.js`).resolve
  const { chromium } = (await import(pathToFileURL(resolve('playwright-core')).href)).default as {
    chromium: { launch(options: object): Promise<Browser> }
  }
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  const args = ['--no-sandbox', ...(gpu ? gpuFlags : [])]
  const browser = await chromium.launch({ executablePath, args, timeout: 60_000 })
  let timer: NodeJS.Timeout | undefined
  try {
    const page = await browser.newPage()
    page.on('pageerror', error => console.error(String(error)))
    page.on('console', message => console.error(message.text()))
    await page.exposeFunction('cpuSeconds', cpuSeconds)
    await page.goto(url)
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing after ${patience} s`)), 1000 * patience)
    })
    const result = await Promise.race([page.evaluate<T>('globalThis.run()'), late])
    return { ...result, browser: `Chromium ${browser.version()}` }
  } finally {
    clearTimeout(timer)
    await browser.close()
  }
}

/** The GPU that pages of that Chromium have, in words; undefined where there is none but software. */
export async function findGpu(folder: string): Promise<string | undefined> {
  const script = `globalThis.run = async () => {
  const adapter = await navigator.gpu?.requestAdapter()
  const { vendor, architecture, isFallbackAdapter } = adapter?.info ?? {}
  return { gpu: adapter && !isFallbackAdapter ? [vendor, architecture].filter(Boolean).join(' ') || 'unnamed' : null }
}`
  const server = await serve({}, `<script type="module">${script}</script>`)
  try {
    const task = { folder, gpu: true, patience: 60 }
    return (await inChromium<{ gpu: string | null }>(task, server.url)).gpu ?? undefined
  } finally {
    server.close()
  }
}

/** Processor time of all processes that this one started, seconds; NaN where there is no /proc. */
function cpuSeconds(): number {
  const children = new Map<string, string[]>()
  const seconds = new Map<string, number>()
  try {
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      const stat = statOf(pid)
      if (!stat) continue
      children.set(stat[1], [...(children.get(stat[1]) ?? []), pid])
      seconds.set(pid, (Number(stat[11]) + Number(stat[12])) / 100)
    }
  } catch {
    return Number.NaN
  }
  const sum = (pid: string): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + (seconds.get(child) ?? 0) + sum(child), 0)
  return sum(String(process.pid))
}

/** Fields of /proc/PID/stat behind the command's name: state, parent, … */
function statOf(pid: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  } catch {
    return undefined // it has just ended
  }
}
