import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { serve } from '../server/serve.ts'
import { chromiumPath } from './site.ts'

interface PageOptions {
  /** The module in this folder whose `run` the page calls, without `.ts`. */
  readonly module: string
  /** What `run` is given. */
  readonly argument?: unknown
  /** Scripts besides, by name: of Workers, for which esbuild does not look. */
  readonly scripts?: Readonly<Record<string, string>>
  /** Puts into the served folder what the page fetches. */
  readonly prepare?: (folder: string) => unknown
  /** Of Chromium. */
  readonly flags?: readonly string[]
  /** Milliseconds. */
  readonly timeout?: number
}

/** Runs a module in an isolated page of Chromium, and returns what its `run` returns. */
export async function runInPage<T>(options: PageOptions): Promise<T> {
  const { module, argument, scripts = {}, prepare, flags = [], timeout = 100_000 } = options
  const folder = mkdtempSync(join(tmpdir(), 'reallm-page-'))
  try {
    await prepare?.(folder)
    await build({
      entryPoints: { page: join(import.meta.dirname, `${module}.ts`), ...scripts },
      outdir: folder,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['@reallm/source', 'browser'],
      logLevel: 'error',
    })
    const given = JSON.stringify(argument) ?? ''
    writeFileSync(
      join(folder, 'index.html'),
      `<script type="module">import { run } from './page.js'; globalThis.found = run(${given}).catch(String)</script>`,
    )
    const server = await serve({ folder })
    const browser = await chromium.launch({
      executablePath: chromiumPath!,
      args: ['--no-sandbox', ...flags],
    })
    try {
      const page = await browser.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.found', undefined, { timeout })
      return await page.evaluate<T>('globalThis.found')
    } finally {
      await browser.close()
      await server.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
