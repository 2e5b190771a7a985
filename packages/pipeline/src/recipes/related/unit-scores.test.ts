import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  linear,
  loadWeights,
  nextTokenLoss,
  openWeights,
  type TfTensor,
  tf,
  useBackend,
} from '@reallm/transformer'
import { expect, test } from 'vitest'
import { taylor, unitsOf } from './unit-scores.ts'

test('Taylor scores are the squared gradients of a gate on each unit, summed over sequences', async () => {
  await useBackend('wasm')
  const model = await openWeights('npm:@reallm/tiny')
  const { config } = model
  const calibration = [
    Int32Array.of(5, 90, 17, 300, 41, 8, 250, 77),
    Int32Array.of(12, 7, 120, 3, 64, 9, 31, 200),
  ]
  const work = mkdtempSync(join(tmpdir(), 'reallm-scores-'))
  const before = tf.memory().numTensors
  const sequences = { calibration, validation: [], text: new Int32Array(), length: 8, source: 'this test' }
  const scores = await taylor({ model, sequences, work })
  expect(tf.memory().numTensors).toBe(before)
  rmSync(work, { recursive: true })

  const weights = await loadWeights(model)
  const layer = config.layers - 2
  for (const { input: gated, count, width } of unitsOf(config.layerSpecs[layer])) {
    const wanted = new Float32Array(count)
    for (const ids of calibration) {
      const loss = (gate: TfTensor) =>
        nextTokenLoss(config, weights, tf.tensor2d(ids, [1, ids.length], 'int32'), {
          linear(name, x, plain) {
            if (name !== gated) return plain()
            const open = gate.reshape([count, 1]).tile([1, width]).reshape([-1])
            return linear(x.mul(open), weights[`${name}.weight`])
          },
        })
      const gradient = tf.tidy(() =>
        tf
          .grad(loss)(tf.ones([count]))
          .dataSync(),
      )
      // The loss is a mean over positions, the scores are of its sum.
      for (const [u, v] of gradient.entries()) wanted[u] += ((ids.length - 1) * v) ** 2
    }
    const found = scores.get(gated)!
    for (let u = 0; u < count; u++) expect(found[u] / wanted[u]).toBeCloseTo(1, 2)
  }
  tf.dispose(weights)
  await model.close()
})
