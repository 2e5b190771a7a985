import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env, pipeline, type TextGenerationPipeline } from '@huggingface/transformers'
import { compress } from '@reallm/pipeline'
import { openModel } from '@reallm/tensor-io'
import { forward, loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder: string
let out: string
let report: Awaited<ReturnType<typeof compress>>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-onnx-'))
  out = join(folder, 'tiny-onnx')
  report = await compress('npm:@reallm/tiny', {
    ...{ to: out, target: 'onnx', bits: 5.2, effort: 'fast', backend: 'wasm', seed: 2 },
  })
}, 300_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

test('a directory as transformers.js wants it, of the size that was asked for', async () => {
  const files = await readdir(out)
  expect(files).toEqual(
    expect.arrayContaining([
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]),
  )
  expect(await readdir(join(out, 'onnx'))).toEqual(['model_q4.onnx'])
  expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))).toMatchObject({
    model_type: 'llama',
    'transformers.js_config': { dtype: 'q4' },
  })
  const { size } = await stat(join(out, 'onnx', 'model_q4.onnx'))
  expect(report.size.bytes).toBe(size)
  expect(report.size.bitsPerWeight).toBeLessThanOrEqual(5.2)
  expect(report.size.bitsPerWeight).toBeGreaterThan(4.9)
  expect(report.quality!.compressed.kl).toBeLessThan(0.02)
  for (const { codec } of report.matrices) expect(codec).toMatch(/^MatMulNBits [248] bits$/)
})

test('transformers.js loads it unchanged, and goes on with a text as this project does with the same file', async () => {
  env.allowRemoteModels = false
  env.localModelPath = folder
  const write = (await pipeline('text-generation', 'tiny-onnx', { device: 'cpu' })) as TextGenerationPipeline
  const prompt = 'The whale'
  const [{ generated_text: text }] = (await write(prompt, { max_new_tokens: 16, do_sample: false })) as {
    generated_text: string
  }[]
  await write.dispose()

  await useBackend('wasm')
  expect(text.startsWith(prompt)).toBe(true)
  expect(text.length).toBeGreaterThan(prompt.length + 20)
  const written = await openWeights(out)
  expect(written.files.kind).toBe('onnx')
  const tokenizer = await written.tokenizer()
  const weights = await loadWeights(written)
  const ids = tokenizer.encode(text, { special: true })
  const start = tokenizer.encode(prompt, { special: true }).length
  const likeliest = tf.tidy(() =>
    forward(written.config, weights, tf.tensor2d([ids], undefined, 'int32'))
      .argMax(-1)
      .dataSync(),
  )
  tf.dispose(weights)
  await written.close()
  expect(ids.slice(start)).toEqual([...likeliest.slice(start - 1, -1)])
})

test('inspect names how each matrix is stored', async () => {
  const files = await openModel(out)
  const kinds = new Set(
    [...files.tensors].filter(([name]) => /proj|embed/.test(name)).map(([, { dtype }]) => dtype),
  )
  await files.close()
  for (const kind of kinds) expect(kind).toMatch(/^MatMulNBits [248]$/)
})
