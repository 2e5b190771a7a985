import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { serve } from '../server/serve.ts'
import { chromiumPath } from './site.ts'

const packages = join(import.meta.dirname, '..', '..', 'packages')
const html = `<script type="module">
  import { run } from './page.js'
  globalThis.found = run().catch(String)
</script>`

test.skipIf(!chromiumPath)(
  'a model in a Worker writes what one in the page writes, and the page does other work meanwhile',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reallm-worker-'))
    // esbuild does not look for Workers: their script is an entry of its own
    await build({
      entryPoints: {
        page: join(import.meta.dirname, 'worker-in-page.ts'),
        worker: join(packages, 'runtime', 'src', 'worker', 'worker.js'),
      },
      outdir: folder,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['@reallm/source', 'browser'],
      logLevel: 'error',
    })
    cpSync(join(packages, 'tiny', 'model'), join(folder, 'model'), { recursive: true })
    writeFileSync(join(folder, 'index.html'), html)
    const server = await serve({ folder })
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.found')
      const found =
        await page.evaluate<Awaited<ReturnType<typeof import('./worker-in-page.ts').run>>>('globalThis.found')
      expect(found).toMatchObject({
        threads: 2,
        texts: [found.wanted, found.wanted, found.wanted],
        messages: ['system', 'user', 'assistant'],
        stopped: 'aborted',
        refused: [
          { name: 'ReallmError', code: 'not-found' },
          { name: 'ReallmError', code: 'unsupported', hint: 'string' },
        ],
      })
      // a task that other programs interrupt takes longer than it works
      expect(Math.min(...found.longest)).toBeLessThan(50)
    } finally {
      await browser.close()
      await server.close()
      rmSync(folder, { recursive: true })
    }
  },
  120_000,
)
