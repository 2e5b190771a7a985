import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeToyModels } from '@reallm/testing'
import { forward, loadWeights, type ModelWeights, tf, useBackend, type Weights } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openToy } from '../../test/toy-store.ts'
import { sequencesOf } from '../batches.ts'
import { tuneEndToEnd } from '../end-to-end.ts'
import { tunedLogits } from '../lowrank/forward.ts'
import { type Downcast, downcast } from './downcast.ts'
import { lrQat } from './lr-qat.ts'
import { roundClip } from './straight-through.ts'

vi.setConfig({ testTimeout: 240_000 })

let model: ModelWeights
let base: Weights
const text = 'It is a way I have of driving off the spleen. '.repeat(20)

beforeAll(async () => {
  await useBackend('wasm')
  const { original } = await writeToyModels(mkdtempSync(join(tmpdir(), 'reallm-qat-')))
  model = await openToy(original)
  base = await loadWeights(model)
})
afterAll(() => model.close())

test.each([
  ['fp16', 200, 1e-3],
  ['bf16', 200, 2e-2],
  ['fixed8', 100, 0.04],
  ['packed', 38, 0.51],
] as const)('%s keeps 100 weights in %i bytes', (kind, bytes, error) => {
  const v = Float32Array.from({ length: 100 }, (_, i) => (i - 50) / 14)
  const held = downcast(v, kind satisfies Downcast, 3)
  expect(held.bytes).toBe(bytes)
  for (const [i, x] of held.expand().entries()) {
    if (Math.round(v[i]) <= 3) expect(Math.abs(x - v[i])).toBeLessThanOrEqual(error)
  }
})

test('rounding passes gradients where it does not clip', () => {
  const gradient = tf.grad(v => roundClip(v, -2, 1).mul(tf.tensor1d([1, 2, 3, 4])))
  const v = tf.tensor1d([-3, -1.2, 0.4, 1.6])
  expect(Array.from(roundClip(v, -2, 1).dataSync())).toEqual([-2, -1, 0, 1])
  expect(Array.from(gradient(v).dataSync())).toEqual([0, 2, 3, 0])
})

test.each([
  ['fixed8', 4],
  ['packed', 4],
  ['f32', 'full'],
] as const)(
  '%s, rank %s: training lowers the loss, and the merged integers give the same logits',
  async (kind, rank) => {
    const before = tf.memory().numTensors
    const parts = await lrQat(model, { bits: 3, rank, downcast: kind, seed: 1 })
    const tokens = (await model.tokenizer()).encode(text)
    const all = sequencesOf(tokens, 24)
    const sequences = { train: all.slice(2), validation: all.slice(0, 2) }
    const settings = { steps: 20, learningRate: 0.03, gradientCheckpointing: true }
    const result = await tuneEndToEnd({ config: model.config, base, parts, sequences, ...settings })
    expect(result.after!).toBeLessThan(0.9 * result.before!)

    const ids = tf.tensor2d([tokens.slice(0, 12)], undefined, 'int32')
    const trained = tunedLogits(model.config, base, parts, ids)
    const merged: Record<string, (typeof base)[string]> = { ...base }
    for (const [name, { rows, cols, codes, steps }] of parts.merge()) {
      expect(codes.every(code => code >= -4 && code <= 3)).toBe(true)
      merged[`${name}.weight`] = tf.tensor2d(
        Float32Array.from(codes, (c, i) => c * steps[Math.floor(i / cols)]),
        [rows, cols],
      )
    }
    const logits = forward(model.config, merged, ids)
    const values = logits.dataSync()
    for (const [i, v] of trained.dataSync().entries()) expect(v).toBeCloseTo(values[i], 3)
    tf.dispose([ids, trained, logits, ...[...parts.merge().keys()].map(name => merged[`${name}.weight`])])
    parts.dispose()
    expect(tf.memory().numTensors).toBe(before)
  },
)

test('impossible grids are refused', async () => {
  await expect(lrQat(model, { bits: 9 })).rejects.toThrow(/9 bits/)
})
