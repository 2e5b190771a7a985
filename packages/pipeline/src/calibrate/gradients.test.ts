import { fixture } from '@reallm/testing'
import {
  type Head,
  head,
  loadEmbeddingsAndHead,
  openWeights,
  type TfTensor,
  tf,
  useBackend,
  withHead,
} from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { behindHead } from './gradients.ts'

beforeAll(() => useBackend('wasm'))

test.each(['llama-gqa-tied', 'mistral-untied', 'gemma2'])(
  '%s: gradients come back through a head, whole or in pieces, as through the model',
  async name => {
    const model = await openWeights(fixture(`models/${name}`))
    const { config } = model
    const weights = await loadEmbeddingsAndHead(model)
    const x = tf.randomNormal([5, config.hiddenSize], 0, 1, 'float32', 1) as TfTensor
    const dy = tf.randomNormal([5, config.vocabSize], 0, 1, 'float32', 2) as TfTensor
    const run = (x: TfTensor) => head(config, weights, x.expandDims(0)).squeeze([0]) as TfTensor
    const wanted = tf.tidy(() => tf.grad(run)(x, dy).arraySync())
    const before = tf.memory().numTensors
    const through = async (head: Head) => {
      const found = await behindHead(config, head, x, dy)
      const values = found.arraySync() as number[][]
      found.dispose()
      return values
    }
    expect(await withHead(model, through)).toEqual(wanted)
    const found = await withHead(model, through, 50 * config.hiddenSize)
    for (const [r, row] of (wanted as number[][]).entries())
      for (const [c, v] of row.entries()) expect(found[r][c]).toBeCloseTo(v, 4)
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([weights, x, dy])
    await model.close()
  },
)
