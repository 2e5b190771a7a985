import { random } from '@reallm/tensor-io'
import { block, loadBlock, openWeights, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import { blockGradients } from './gradients.ts'

test('means of the squared gradients of a weight, as automatic differentiation has them', async () => {
  await useBackend('wasm')
  const model = await openWeights('npm:@reallm/tiny')
  const { config } = model
  const weights = await loadBlock(model, 0)
  const { normal } = random(1)
  const values = () => Float32Array.from({ length: 6 * config.hiddenSize }, normal)
  const [x, dy] = [values(), values()]
  const before = tf.memory().numTensors
  const { outputs, inputs, squares } = blockGradients(config, weights, 0, x, dy, true)
  tf.dispose([...outputs.values(), ...inputs.values()])
  expect(tf.memory().numTensors).toBe(before)

  const shape: [number, number, number] = [1, 6, config.hiddenSize]
  for (const part of ['self_attn.k_proj', 'mlp.down_proj']) {
    const name = `model.layers.0.${part}`
    const gradient = tf.tidy(() => {
      const run = (w: TfTensor) =>
        block(config, { ...weights, [`${name}.weight`]: w }, 0, tf.tensor3d(x, shape))
      return tf.grad(run)(weights[`${name}.weight`], tf.tensor3d(dy, shape)).square()
    })
    const { rows, cols } = squares.get(name)!
    for (const [axis, found] of [
      [1, rows],
      [0, cols],
    ] as const) {
      const wanted = gradient.mean(axis).dataSync()
      expect(found.length).toBe(wanted.length)
      for (const [i, v] of found.entries()) expect(v).toBeCloseTo(wanted[i], 4)
    }
  }
  await model.close()
})
