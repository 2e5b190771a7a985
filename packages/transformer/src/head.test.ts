import type { ModelWeights } from '@reallm/tensor-io/models'
import { openWeights } from '@reallm/tensor-io/models'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { embedTokens, rowsOf } from './embed-tokens.ts'
import { type Head, withHead } from './head.ts'
import { type TfTensor, tf, useBackend } from './tf.ts'
import { tokenRows } from './token-rows.ts'
import { embed } from './transformer.ts'
import { loadEmbeddingsAndHead } from './weights.ts'

let before: number
beforeAll(async () => {
  await useBackend('wasm')
  before = tf.memory().numTensors
})
afterAll(() => expect(tf.memory().numTensors).toBe(before))

const largest = (a: TfTensor, b: TfTensor) => tf.tidy(() => a.sub(b).abs().max().dataSync()[0])

describe.each(['llama-gqa-tied', 'mistral-untied', 'gemma2'])('%s', name => {
  let model: ModelWeights
  const held: number[] = []
  beforeAll(async () => {
    const opened = await openWeights(fixture(`models/${name}`))
    model = {
      ...opened,
      async read(name, rows) {
        const found = await opened.read(name, rows)
        held.push(found.data.length)
        return found
      },
    }
  })
  afterAll(() => model.close())

  it('gives the same logits from pieces of its matrix', async () => {
    const { hiddenSize } = model.config
    const x = tf.randomNormal([5, hiddenSize], 0, 1, 'float32', 1) as TfTensor
    const run = (head: Head) => head.logits(x)
    const wanted = await withHead(model, run)
    held.length = 0
    const most = 50 * hiddenSize
    const found = await withHead(model, run, most)
    expect(Math.max(...held)).toBeLessThanOrEqual(most)
    expect(largest(found, wanted)).toBeLessThan(2e-5)
    tf.dispose([x, wanted, found])
  })

  it('embeds tokens by their rows alone', async () => {
    const batch = [
      [5, 3, 9],
      [3, 3, 0],
    ]
    const weights = await loadEmbeddingsAndHead(model)
    const wanted = tf.tidy(() => embed(model.config, weights, tf.tensor2d(batch, undefined, 'int32')))
    const rows = await tokenRows(rowsOf(model, 'model.embed_tokens.weight'), batch)
    const found = await embedTokens(model, batch, rows)
    expect(found.arraySync()).toEqual(wanted.arraySync())
    tf.dispose([weights, wanted, found])
  })
})
