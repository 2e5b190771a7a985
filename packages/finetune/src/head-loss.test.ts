import { crossEntropy, head, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { toyConfig, toyWeights } from '../test/toy.ts'
import { headLoss, nextToken } from './head-loss.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

test.each([undefined, 4])('loss and gradients are those of whole logits, soft limit %o', logitSoftcap => {
  // so many positions that they take several chunks
  const vocabSize = 30_000
  const config = { ...toyConfig, vocabSize, ...(logitSoftcap !== undefined && { logitSoftcap }) }
  const embedding = tf.randomNormal([vocabSize, config.hiddenSize], 0, 1, 'float32', 2)
  const weights: Record<string, TfTensor> = { ...toyWeights(), 'model.embed_tokens.weight': embedding }
  const rows = 300
  const states = tf.randomNormal([1, rows, config.hiddenSize], 0, 1, 'float32', 1) as TfTensor
  const targets = Int32Array.from({ length: rows }, (_, i) => (i * 997) % vocabSize)
  const counts = Float32Array.from({ length: rows }, (_, i) => i % 3)
  const before = tf.memory().numTensors
  const ours = (x: TfTensor, norm: TfTensor) =>
    headLoss(config, { ...weights, 'model.norm.weight': norm }, x, counts, nextToken(targets))
  const whole = (x: TfTensor, norm: TfTensor) => {
    const logits = head(config, { ...weights, 'model.norm.weight': norm }, x).reshape([
      -1,
      vocabSize,
    ]) as TfTensor
    return crossEntropy(logits, tf.tensor1d(targets, 'int32')).mul(tf.tensor1d(counts)).sum() as TfTensor
  }
  tf.tidy(() => {
    const inputs = [states, weights['model.norm.weight']] as [TfTensor, TfTensor]
    const got = tf.valueAndGrads(ours)(inputs)
    const want = tf.valueAndGrads(whole)(inputs)
    expect(got.value.dataSync()[0] / want.value.dataSync()[0]).toBeCloseTo(1, 5)
    expect(ours(...inputs).dataSync()[0] / want.value.dataSync()[0]).toBeCloseTo(1, 5)
    for (const [i, g] of got.grads.entries()) {
      const apart = tf.norm(g.sub(want.grads[i])).div(tf.norm(want.grads[i]))
      expect(apart.dataSync()[0]).toBeLessThan(1e-4)
    }
  })
  expect(tf.memory().numTensors).toBe(before)
  tf.dispose([states, weights])
})
