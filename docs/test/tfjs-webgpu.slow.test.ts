import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInRegistry, compress } from '@reallm/pipeline'
import { openWeights, useBackend } from '@reallm/transformer'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { serve } from '../server/serve.ts'
import { chromiumPath } from './site.ts'
import { tuneTiny } from './tune-tiny.ts'

const packages = join(import.meta.dirname, '..', '..', 'packages')
const tiny = join(packages, 'tiny', 'model')
const golden = join(packages, 'testing', 'fixtures', 'models')
const models = ['smollm3']
const html = `<script type="module">
  import { run } from './tfjs-webgpu-in-page.js'
  globalThis.found = run(${JSON.stringify(models)}).catch(String)
</script>`

/** Chromium's own software adapter does where there is no GPU. */
const args = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
  '--use-webgpu-adapter=swiftshader',
  '--ignore-gpu-blocklist',
]

test.skipIf(!chromiumPath)(
  'TensorFlow.js on WebGPU computes PyTorch’s gradients, and fine-tunes the compressed embedded model as it does on wasm',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reallm-tfjs-webgpu-'))
    for (const name of models) cpSync(join(golden, name), join(folder, 'models', name), { recursive: true })
    cpSync(tiny, join(folder, 'tiny'), { recursive: true })
    const compressed = join(folder, 'compressed')
    await compress(tiny, { to: compressed, recipe: 'rtn', bits: 3, evaluate: false, backend: 'wasm' })
    await build({
      entryPoints: [join(import.meta.dirname, 'tfjs-webgpu-in-page.ts')],
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
    const browser = await chromium.launch({ executablePath: chromiumPath!, args })
    try {
      const page = await browser.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.found', undefined, { timeout: 800_000 })
      const { backend, found, losses, sums } =
        await page.evaluate<Awaited<ReturnType<typeof import('./tfjs-webgpu-in-page.ts').run>>>(
          'globalThis.found',
        )
      expect(backend).toBe('webgpu')
      expect(sums).toEqual([1, 28, 36, 4950])
      for (const { loss, errors, left } of found) {
        expect(Math.abs(loss)).toBeLessThan(1e-4)
        expect(Math.max(...errors)).toBeLessThan(1e-3)
        expect(left).toBe(0)
      }
      await useBackend('wasm')
      const registry = builtInRegistry()
      const [student, teacher] = await Promise.all(
        [compressed, tiny].map(at => openWeights(at, { registry })),
      )
      const wanted = await tuneTiny(student, teacher, readFileSync(join(tiny, 'held-out.txt'), 'utf8'))
      expect(wanted).toHaveLength(2)
      for (const [i, loss] of wanted.entries()) expect(losses[i]).toBeCloseTo(loss, 4)
    } finally {
      await browser.close()
      await server.close()
      rmSync(folder, { recursive: true })
    }
  },
  900_000,
)
