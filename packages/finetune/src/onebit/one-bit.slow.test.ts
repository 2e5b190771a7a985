import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bitsOf, f16ToF32, matrix, type ProgressEvent, random } from '@reallm/tensor-io'
import { writeToyModels } from '@reallm/testing'
import { forward, loadWeights, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { valuesOf } from '../../test/toy.ts'
import { openToy } from '../../test/toy-store.ts'
import { collate, sequencesOf } from '../batches.ts'
import { directionLoss, teacherLogits } from '../distill/index.ts'
import { type EndToEndSettings, tuneEndToEnd } from '../end-to-end.ts'
import { tunedLogits, tunedStates } from '../lowrank/forward.ts'
import { onebit } from './codec.ts'
import { type OneBit, oneBit } from './one-bit.ts'

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
  const all = sequencesOf(tokens, 24)
  const sequences = { train: all.slice(2), validation: all.slice(0, 2) }
  const { config } = model
  const settings = { teacher: model, topK: 97, steps: 20, learningRate: 0.01 }
  const result = await tuneEndToEnd({ config, base, parts, sequences, ...settings })
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

test("with the term on hidden states they come closer to the original's than without, and it resumes", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reallm-onebit-'))
  const { original } = await writeToyModels(folder)
  const model = await openToy(original)
  const base = await loadWeights(model)
  const { config } = model
  const tokens = (await model.tokenizer()).encode('It is a way I have of driving off the spleen. '.repeat(20))
  const all = sequencesOf(tokens, 24)
  const sequences = { train: all.slice(2), validation: all.slice(0, 2) }
  const batch = collate(all, [0, 1])
  const { directions: wanted } = await (
    await teacherLogits({ config, weights: base, sequences: all.slice(0, 2), hidden: true })
  ).of(batch)

  /** Distance of the directions of hidden states per token on text that is not trained on. */
  const apart = (parts: OneBit) =>
    tf.tidy(() => {
      const terms: TfTensor[] = []
      const onBlock = (i: number, x: TfTensor) => {
        const directions = tf.tensor2d(f16ToF32(wanted![i]), [48, config.hiddenSize])
        terms.push(directionLoss(x, () => directions, batch.weights))
      }
      tunedStates(config, base, parts, tf.tensor2d(batch.ids, [2, 24], 'int32'), { onBlock })
      return tf.addN(terms).div(batch.scored).dataSync()[0]
    })
  async function trained(settings: Partial<EndToEndSettings>) {
    const parts = await oneBit(model)
    const shared = { config, base, sequences, teacher: model, topK: 97, steps: 20, learningRate: 0.01 }
    const { before, after } = await tuneEndToEnd({ ...shared, parts, ...settings })
    const result = { before, after, apart: apart(parts), weights: valuesOf(parts.parameters) }
    parts.dispose()
    return result
  }
  const without = await trained({})
  const withTerm = await trained({ hiddenWeight: 1, gradientCheckpointing: true })
  expect(withTerm.before).toBeCloseTo(without.before!, 5)
  expect(withTerm.apart).toBeLessThan(0.9 * without.apart)

  const stop = new AbortController()
  const work = join(folder, 'work')
  const onProgress = ({ event, done }: ProgressEvent) => event === 'step-end' && done === 7 && stop.abort()
  const once = { hiddenWeight: 1, gradientCheckpointing: true, work }
  await expect(trained({ ...once, signal: stop.signal, onProgress })).rejects.toMatchObject({
    code: 'aborted',
  })
  expect((await trained(once)).weights).toEqual(withTerm.weights)
  tf.dispose(base)
  await model.close()
})
