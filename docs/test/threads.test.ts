import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { serve } from '../server/serve.ts'
import { chromiumPath } from './site.ts'

const html = `<script type="module">
  import { run } from './threads-in-page.js'
  globalThis.found = run()
</script>`

test.skipIf(!chromiumPath)(
  'in a page that is isolated, helper threads give the bytes that one thread gives',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reallm-page-'))
    await build({
      entryPoints: [join(import.meta.dirname, 'threads-in-page.ts')],
      outdir: folder,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['@reallm/source', 'browser'],
      logLevel: 'error',
    })
    writeFileSync(join(folder, 'index.html'), html)
    const server = await serve({ folder })
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.found')
      const found = await page.evaluate('globalThis.found')
      expect(found).toMatchObject({ isolated: true, threads: [3, 3], same: true })
    } finally {
      await browser.close()
      await server.close()
      rmSync(folder, { recursive: true })
    }
  },
  90_000,
)
