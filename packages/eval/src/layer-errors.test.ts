import { fixture } from '@reallm/testing'
import {
  inMemory,
  loadWeights,
  type ModelWeights,
  openWeights,
  streamed,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { layerErrors } from './layer-errors.ts'

let model: ModelWeights
beforeAll(async () => {
  await useBackend('wasm')
  model = await openWeights(fixture('models/llama-gqa-tied'))
})
afterAll(() => model.close())

const rows = [[5, 80, 200, 31, 7, 90, 11, 12]]

it('is nothing for the same model, and begins where a layer was changed', async () => {
  const before = tf.memory().numTensors
  const same = await layerErrors(streamed(model), streamed(model), rows)
  expect(same).toEqual([0, 1].map(layer => ({ layer, own: 0, total: 0 })))

  const weights = await loadWeights(model)
  const name = 'model.layers.0.mlp.down_proj.weight'
  const halved = { ...weights, [name]: weights[name].mul(0.5) }
  const [first, second] = await layerErrors(
    inMemory(model.config, halved),
    inMemory(model.config, weights),
    rows,
  )
  expect(first.own).toBeGreaterThan(0.01)
  expect(first.total).toBe(first.own)
  expect(second.own).toBe(0)
  expect(second.total).toBeGreaterThan(0)
  tf.dispose([weights, halved[name]])
  expect(tf.memory().numTensors).toBe(before)
})

it('refuses models that have no layers in common', async () => {
  const other = { ...streamed(model), config: { ...model.config, layers: 3 } }
  await expect(layerErrors(other, streamed(model), rows)).rejects.toThrow(/layer by layer/)
})
