import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bitsOf, matrix, random } from '@reallm/tensor-io'
import { forward, loadWeights, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { openToy, writeToyModels } from '../../test/toy-artifact.ts'
import { windowsOf } from '../batches.ts'
import { tuneEndToEnd } from '../end-to-end.ts'
import { tunedLogits } from '../lowrank/forward.ts'
import { onebit } from './codec.ts'
import { oneBit } from './one-bit.ts'

vi.setConfig({ testTimeout: 240_000 })

beforeAll(async () => {
  await useBackend('wasm')
})

test('a matrix of signs times a rank-1 magnitude comes back exactly, on one bit per weight', async () => {
  const { uniform, sign } = random(3)
  const [a, b] = [40, 60].map(n =>
    Float32Array.from({ length: n }, () => 0.5 + Math.floor(4 * uniform()) / 8),
  )
  const w = matrix(
    Float32Array.from({ length: 2400 }, (_, i) => sign() * a[Math.floor(i / 60)] * b[i % 60]),
    [40, 60],
  )
  const stored = await onebit.encode(w, {}, { seed: 1 })
  expect(bitsOf(stored)).toBe(2400 + 16 * 100)
  expect(bitsOf(stored)).toBe(bitsOf(onebit.cost([40, 60], {})))
  for (const [i, v] of onebit.decode(stored).data.entries())
    expect(Math.abs(v - w.data[i])).toBeLessThan(2e-3)
})

test('distillation brings the 1-bit model closer to the original, and its stored matrices compute the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reallm-onebit-'))
  const { original } = await writeToyModels(folder)
  const model = await openToy(original)
  const base = await loadWeights(model)
  const before = tf.memory().numTensors
  const parts = await oneBit(model)
  const tokens = (await model.tokenizer()).encode('It is a way I have of driving off the spleen. '.repeat(20))
  const all = windowsOf(tokens, 24)
  const windows = { train: all.slice(2), validation: all.slice(0, 2) }
  const { config } = model
  const settings = { teacher: model, topK: 97, steps: 20, learningRate: 0.01 }
  const result = await tuneEndToEnd({ config, base, parts, windows, ...settings })
  expect(result.after!).toBeLessThan(0.8 * result.before!)

  const stored = new Map(await parts.encoded())
  const decoded = Object.fromEntries(
    [...stored].map(([name, e]) => [`${name}.weight`, tf.tensor2d(onebit.decode(e).data, [...e.shape])]),
  )
  const ids = tf.tensor2d([tokens.slice(0, 12)], undefined, 'int32')
  const [trained, logits] = [
    tunedLogits(config, base, parts, ids),
    forward(config, { ...base, ...decoded }, ids),
  ]
  const values = logits.dataSync()
  const error = Math.max(...trained.dataSync().map((v, i) => Math.abs(v - values[i])))
  expect(error).toBeLessThan(0.05)
  tf.dispose([decoded, ids, trained, logits])
  parts.dispose()
  expect(tf.memory().numTensors).toBe(before)
  await model.close()
})
