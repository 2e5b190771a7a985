import { linearModules } from '@reallm/tensor-io/models'
import { beforeAll, describe, expect, it } from 'vitest'
import { distance, type GoldenModel, goldenModel } from '../test/golden.ts'
import { testGoldenModels } from '../test/golden-suite.ts'
import { linear } from './ops.ts'
import { type TfTensor, tf, useBackend } from './tf.ts'
import { block, embed, forward, hiddenStates, nextTokenLoss } from './transformer.ts'

describe('on wasm', () => testGoldenModels('wasm'))

describe('hooks and partial weights', () => {
  let model: GoldenModel
  beforeAll(async () => {
    await useBackend('wasm')
    model = await goldenModel('llama-gqa-tied')
  })

  it('runs one block with only its weights in memory', () => {
    const { config, weights, ids, expected } = model
    tf.tidy(() => {
      const own = (prefix: string) =>
        Object.fromEntries(Object.entries(weights).filter(([name]) => name.startsWith(prefix)))
      const x = embed(config, own('model.embed_tokens'), tf.tensor2d(ids, undefined, 'int32'))
      expect(distance(block(config, own('model.layers.0.'), 0, x), expected.hidden_1)).toBeLessThan(1e-4)
      expect(() => block(config, own('model.layers.0.'), 1, x)).toThrow(
        'model.layers.1.input_layernorm.weight',
      )
    })
  })

  it('shows the inputs of every linear layer', () => {
    const { config, weights, ids } = model
    const seen: [string, number | undefined][] = []
    tf.tidy(() => {
      const onInput = (module: string, x: TfTensor) => void seen.push([module, x.shape.at(-1)])
      forward(config, weights, tf.tensor2d(ids, undefined, 'int32'), { onInput })
    })
    const blocks = [0, 1].flatMap(i => linearModules(config, i).map(({ name, shape }) => [name, shape[1]]))
    expect(seen).toEqual([...blocks, ['lm_head', config.hiddenSize]])
  })

  it('lets a caller compute a linear layer', () => {
    const { config, weights, ids, expected } = model
    const { 'model.layers.1.mlp.up_proj.weight': own, ...rest } = weights
    tf.tidy(() => {
      const logits = forward(config, rest, tf.tensor2d(ids, undefined, 'int32'), {
        linear: (module, x, base) => (module === 'model.layers.1.mlp.up_proj' ? linear(x, own) : base()),
      })
      expect(distance(logits, expected.logits)).toBeLessThan(1e-4)
    })
  })

  it.each([1, 7])('differentiates the embedding through head and lookup, the text %i times', times => {
    const { config, weights, ids } = model
    const name = 'model.embed_tokens.weight'
    tf.tidy(() => {
      const tokens = tf.tile(tf.tensor2d(ids, undefined, 'int32'), [1, times])
      const loss = (w: TfTensor) => nextTokenLoss(config, { ...weights, [name]: w }, tokens)
      const gradient = tf.grad(loss as (w: TfTensor) => TfTensor)(weights[name])
      const direction = tf.randomNormal(gradient.shape, 0, 1, 'float32', 5)
      const step = direction.mul(1e-2 / (tf.norm(direction).dataSync()[0] as number))
      const slope =
        loss(weights[name].add(step))
          .sub(loss(weights[name].sub(step)))
          .dataSync()[0] / 2
      expect(slope).toBeCloseTo(gradient.mul(step).sum().dataSync()[0], 4)
    })
  })

  it('frees what it made', () => {
    const { config, weights, ids } = model
    const tokens = tf.tensor2d(ids, undefined, 'int32')
    const before = tf.memory().numTensors
    const states = hiddenStates(config, weights, tokens)
    expect(tf.memory().numTensors).toBe(before + 1)
    tf.dispose([states, tokens])
  })
})
