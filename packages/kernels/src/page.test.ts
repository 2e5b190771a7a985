import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { inChromium, serve } from '../../../tools/bench/runtime/chromium.ts'

const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium'
const docs = fileURLToPath(new URL('../../../docs', import.meta.url))

interface Found {
  readonly isolated: boolean
  readonly threads: readonly number[]
  readonly same: boolean
}

test.skipIf(!existsSync(chromium))(
  'in a page that is isolated, helper threads give the bytes that one thread gives',
  async () => {
    const out = mkdtempSync(join(tmpdir(), 'reallm-page-'))
    await build({
      entryPoints: [fileURLToPath(new URL('../test/in-page.ts', import.meta.url))],
      outdir: out,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['@reallm/source', 'browser'],
      logLevel: 'error',
    })
    const page = '<script type="module">import { run } from "./app/in-page.js"; globalThis.run = run</script>'
    const server = await serve({ '/app/': `${out}/` }, page)
    try {
      const found = await inChromium<Found>(docs, server.url, 60)
      expect(found).toMatchObject({ isolated: true, threads: [3, 3], same: true })
    } finally {
      server.close()
      rmSync(out, { recursive: true })
    }
  },
  90_000,
)
