import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openFileSource } from '@reallm/tensor-io'
import { readImatrix } from '@reallm/tensor-io/imatrix'
import { openLlamaCpp, writeRandomModel } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { compress, measureImatrix } from './index.ts'

vi.setConfig({ testTimeout: 240_000 })
const llama = await openLlamaCpp()
const folder = workFolder()
const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))
const golden = (ending: string) =>
  fileURLToPath(new URL(`../../tensor-io/test/fixtures/tiny.imatrix.${ending}`, import.meta.url))
const options = { target: 'gguf', effort: 'fast', threads: 0, backend: 'wasm', bits: 5 } as const

beforeAll(() => vi.stubEnv('REALLM_CACHE', join(folder, 'cache')))
afterAll(async () => {
  vi.unstubAllEnvs()
  if (typeof llama !== 'string') await llama.close()
})

test('measures what llama.cpp measures on the same kind of text', async () => {
  const to = join(folder, 'measured.gguf')
  const { tensors, tokens } = await measureImatrix(tiny, { to, effort: 'fast', backend: 'wasm' })
  const [mine, theirs] = [
    await readImatrix(await openFileSource(to)),
    await readImatrix(await openFileSource(golden('gguf'))),
  ]
  // theirs leaves the tied head out
  expect([...mine.tensors.keys()].sort()).toEqual([...theirs.tensors.keys(), 'token_embd.weight'].sort())
  expect(tensors).toBe(mine.tensors.size)
  expect(mine.tensors.get('blk.2.attn_q.weight')!.tokens).toEqual([tokens])
  for (const [name, { meanSquares }] of theirs.tensors) {
    const found = mine.tensors.get(name)!.meanSquares
    const [a, b] = [found, meanSquares].map(values => values.map(Math.log))
    expect(correlation(a, b), name).toBeGreaterThan(0.8)
  }
})

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (of: Float32Array) => of.reduce((sum, v) => sum + v, 0) / of.length
  const [ma, mb] = [mean(a), mean(b)]
  const moment = (x: Float32Array, mx: number, y: Float32Array, my: number) =>
    x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0)
  return moment(a, ma, b, mb) / Math.sqrt(moment(a, ma, a, ma) * moment(b, mb, b, mb))
}

test('compresses by an importance matrix of either form alike', async () => {
  const made = async (name: string, more: object) =>
    compress(tiny, { ...options, to: join(folder, `${name}.gguf`), ...more })
  const gguf = await made('by-gguf', { imatrix: golden('gguf') })
  const legacy = await made('by-dat', { imatrix: golden('dat'), evaluate: false })
  expect(gguf.calibration).toBe('the importance matrix tiny.imatrix.gguf')
  expect(gguf.predictedUnit).toMatch(/relative squared output errors/)
  expect(legacy.matrices.map(m => m.codec)).toEqual(gguf.matrices.map(m => m.codec))
  expect(gguf.size.bitsPerWeight).toBeLessThanOrEqual(5)
  expect(gguf.quality!.compressed.kl).toBeLessThan(0.2)
  if (typeof llama === 'string') return
  const path = join(folder, 'by-gguf.gguf')
  const [prompt] = await llama.tokenize(path, ['Once upon a time'])
  expect((await llama.greedy(path, prompt, 4)).warnings).toEqual([])
})

test('refuses an importance matrix of another model, beside a text, and for recipes that need more', async () => {
  const to = join(folder, 'no.gguf')
  const imatrix = golden('gguf')
  const other = join(folder, 'other')
  await writeRandomModel(other, {
    ...{
      model_type: 'llama',
      vocab_size: 320,
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 1,
    },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, tie_word_embeddings: true },
  })
  await expect(compress(other, { ...options, bits: 9, to, imatrix })).rejects.toThrow(
    /imatrix\.gguf is an importance matrix of another model: blk\.0\.attn_q\.weight has 192 inputs there and 64 here/,
  )
  await expect(compress(tiny, { ...options, to, imatrix, calibration: imatrix })).rejects.toThrow(
    'an importance matrix takes the place of a calibration text',
  )
  await expect(
    compress(tiny, { to: join(folder, 'no'), bits: 3, recipe: 'lq-lora', imatrix }),
  ).rejects.toThrow('the recipe lq-lora cannot round by an importance matrix')
  await expect(measureImatrix(tiny, { to: join(folder, 'no.dat') })).rejects.toThrow(
    'is no name of a GGUF file',
  )
})
