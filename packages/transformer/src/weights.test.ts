import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tensor, writeSafetensors } from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/models'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tf, useBackend } from './tf.ts'
import { inMemory, streamed } from './weight-source.ts'
import { loadBlock, loadEmbeddingsAndHead, loadWeights } from './weights.ts'

let scratch: string
beforeAll(async () => {
  await useBackend('cpu')
  scratch = await mkdtemp(join(tmpdir(), 'weights-'))
})
afterAll(() => rm(scratch, { recursive: true }))

const open = () => openWeights(fixture('models/llama-gqa-tied'))

it('reads tensors, rows of them, and whole parts', async () => {
  const model = await open()
  const name = 'model.embed_tokens.weight'
  const whole = await model.read(name)
  expect(whole.shape).toEqual([320, 72])
  expect((await model.read(name, [3, 5])).data).toEqual(whole.data.slice(3 * 72, 5 * 72))
  await expect(model.read('lm_head.weight')).rejects.toThrow('lm_head.weight')

  const before = tf.memory().numTensors
  const parts = [await loadBlock(model, 1), await loadEmbeddingsAndHead(model), await loadWeights(model)]
  expect(parts.map(part => Object.keys(part).length)).toEqual([9, 2, 20])
  expect(parts[0]['model.layers.1.mlp.up_proj.weight'].shape).toEqual([160, 72])
  tf.dispose(parts)
  expect(tf.memory().numTensors).toBe(before)
  await model.close()
})

it('streams the parts of a model and frees them', async () => {
  const model = await open()
  const before = tf.memory().numTensors
  const source = streamed(model)
  expect(await source.with(1, w => Object.keys(w))).toHaveLength(9)
  await expect(source.with(0, () => Promise.reject(new Error('stop')))).rejects.toThrow('stop')
  expect(tf.memory().numTensors).toBe(before)

  const weights = await loadWeights(model)
  await inMemory(model.config, weights).with(0, w => expect(w).toBe(weights))
  tf.dispose(weights)
  await model.close()
})

it('names tensors that are missing or misshapen', async () => {
  const folder = join(scratch, 'bad')
  await cp(fixture('models/llama-gqa-tied'), folder, { recursive: true })
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const change = (values: object) =>
    writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...values }))
  await change({ num_hidden_layers: 3 })
  await expect(openWeights(folder)).rejects.toThrow(/missing model\.layers\.2\..* and 6 more/)
  await change({ intermediate_size: 128 })
  await expect(openWeights(folder)).rejects.toThrow('gate_proj.weight [160×72] should be [128×72]')
  await change({ tie_word_embeddings: false })
  await expect(openWeights(folder)).rejects.toThrow('missing lm_head.weight')
  await rm(join(folder, 'model.safetensors'))
  await writeSafetensors(join(folder, 'model.safetensors'), { x: tensor('F32', [1], Float32Array.of(1)) })
  await change({})
  await expect(openWeights(folder)).rejects.toThrow('and 17 more')
})

it('says that a model has no tokenizer', async () => {
  const model = await open()
  await expect(model.tokenizer()).rejects.toThrow('there is no tokenizer.json')
  await model.close()
})
