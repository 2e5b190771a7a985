import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInRegistry, compress } from '@reallm/pipeline'
import { openWeights, useBackend } from '@reallm/transformer'
import { afterAll, expect, test } from 'vitest'
import { runInPage } from './run-in-page.ts'
import { chromiumPath } from './site.ts'
import type { run } from './tfjs-webgpu-in-page.ts'
import { tuneTiny } from './tune-tiny.ts'

const packages = join(import.meta.dirname, '..', '..', 'packages')
const tiny = join(packages, 'tiny', 'model')
const golden = join(packages, 'testing', 'fixtures', 'models')
const models = ['smollm3']

/** Chromium's own software adapter does where there is no GPU. */
const flags = [
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
  '--use-webgpu-adapter=swiftshader',
  '--ignore-gpu-blocklist',
]

const scratch = mkdtempSync(join(tmpdir(), 'reallm-tfjs-webgpu-'))
const compressed = join(scratch, 'compressed')
afterAll(() => rmSync(scratch, { recursive: true }))

test.skipIf(!chromiumPath)(
  'TensorFlow.js on WebGPU computes PyTorch’s gradients, and fine-tunes the compressed embedded model as it does on wasm',
  async () => {
    await compress(tiny, { to: compressed, recipe: 'rtn', bits: 3, evaluate: false, backend: 'wasm' })
    const { backend, found, losses, sums } = await runInPage<Awaited<ReturnType<typeof run>>>({
      module: 'tfjs-webgpu-in-page',
      argument: models,
      prepare(folder) {
        for (const name of models)
          cpSync(join(golden, name), join(folder, 'models', name), { recursive: true })
        cpSync(tiny, join(folder, 'tiny'), { recursive: true })
        cpSync(compressed, join(folder, 'compressed'), { recursive: true })
      },
      flags,
      timeout: 800_000,
    })
    expect(backend).toBe('webgpu')
    expect(sums).toEqual([1, 28, 36, 4950])
    for (const { loss, errors, left } of found) {
      expect(Math.abs(loss)).toBeLessThan(1e-4)
      expect(Math.max(...errors)).toBeLessThan(1e-3)
      expect(left).toBe(0)
    }
    await useBackend('wasm')
    const registry = builtInRegistry()
    const [student, teacher] = await Promise.all([compressed, tiny].map(at => openWeights(at, { registry })))
    const wanted = await tuneTiny(student, teacher, readFileSync(join(tiny, 'held-out.txt'), 'utf8'))
    expect(wanted).toHaveLength(2)
    for (const [i, loss] of wanted.entries()) expect(losses[i]).toBeCloseTo(loss, 4)
  },
  900_000,
)
