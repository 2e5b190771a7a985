import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { extname, normalize } from 'node:path'
import { pathToFileURL } from 'node:url'

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
  on(event: string, listener: (what: { text(): string } & Error) => void): void
}

/** Opens a page in the Chromium at `CHROMIUM` (default: the one on the path) and returns what its `run` resolves to. */
export async function inChromium<T>(folder: string, url: string): Promise<T & { browser: string }> {
  const resolve = createRequire(`${folder}/index.js`).resolve
  const { chromium } = (await import(pathToFileURL(resolve('playwright-core')).href)).default as {
    chromium: { launch(options: object): Promise<Browser> }
  }
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'], timeout: 60_000 })
  try {
    const page = await browser.newPage()
    page.on('pageerror', error => console.error(String(error)))
    page.on('console', message => console.error(message.text()))
    await page.goto(url)
    const result = await page.evaluate<T>('globalThis.run()')
    return { ...result, browser: `Chromium ${browser.version()}` }
  } finally {
    await browser.close()
  }
}
