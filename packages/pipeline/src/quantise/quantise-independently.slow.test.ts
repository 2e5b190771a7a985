import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReallmError } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { compress } from '../compress.ts'
import { gridRates } from '../recipes/configurations/scalar.ts'
import { recipe } from '../recipes/recipe.ts'
import { builtInRecipe } from '../recipes/recipes.ts'

vi.setConfig({ testTimeout: 120_000 })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-independent-'))
  vi.stubEnv('REALLM_CACHE', join(folder, 'cache'))
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

const options = { bits: 5, effort: 'fast', backend: 'wasm', threads: 0 } as const
const weights = (name: string) => readFile(join(folder, name, 'model.safetensors'))

test('matrices are independent of each other, resumed to the same bytes, and as many bits as in sequence', async () => {
  const golden = fixture('models/llama-gqa-tied')
  const run = (name: string, more: object) =>
    compress(golden, { ...options, to: join(folder, name), ...more })
  const sequential = await run('sequential', {})
  const whole = await run('whole', { sequential: false })
  expect(whole.size.bytes).toBe(sequential.size.bytes)
  expect(whole.options).toMatchObject({ sequential: false })
  expect(await weights('whole')).not.toEqual(await weights('sequential'))
  // The first projections see the same inputs either way.
  const errorOf = ({ matrices }: typeof whole, name: string) => matrices.find(m => m.name === name)!.error
  const first = 'model.embed_tokens'
  expect(errorOf(whole, first)).toBe(errorOf(sequential, first))
  expect(whole.quality!.compressed.kl).toBeLessThan(3 * sequential.quality!.compressed.kl)

  const stop = new AbortController()
  const stopped = run('stopped', {
    ...{ sequential: false, signal: stop.signal },
    onProgress: ({ event }: { event: string }) => void (event === 'matrix-end' && stop.abort()),
  })
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  await expect(run('stopped', { resume: true })).rejects.toThrow(/sequential was false .* is true now/)
  await run('stopped', { sequential: false, resume: true })
  expect(await weights('stopped')).toEqual(await weights('whole'))
})

test('a matrix that cannot be stored stops the run by name', async () => {
  const broken = recipe({
    ...builtInRecipe('gptq'),
    name: 'broken',
    layers: module =>
      gridRates().map(each => ({
        ...each,
        encode(w, ctx) {
          if (module.name.endsWith('layers.0.self_attn.o_proj') && w.rows === module.shape[0] && ctx.hessian)
            throw new ReallmError('numeric', 'no scale fits')
          return each.encode(w, ctx)
        },
      })),
    allocate: 'predicted',
  })
  const failing = compress(fixture('models/llama-gqa-tied'), {
    ...{ ...options, recipe: broken, sequential: false, evaluate: false, to: join(folder, 'failing') },
  })
  await expect(failing).rejects.toThrow(/layers\.0\.self_attn\.o_proj .*no scale fits/)
})
