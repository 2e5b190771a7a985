import { linearModules } from '@reallm/tensor-io/models'
import { goldenModels } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { distance, type GoldenModel, goldenModel, relativeError, testedBackends } from '../test/golden.ts'
import { generateIds } from './generate.ts'
import { createKvCache } from './kv-cache.ts'
import { linear } from './ops.ts'
import { type TfTensor, tf, useBackend } from './tf.ts'
import { block, embed, forward, hiddenStates, nextTokenLoss, sublayers } from './transformer.ts'

describe.each(testedBackends)('on %s', backend => {
  describe.each(goldenModels)('%s', name => {
    let model: GoldenModel
    let ids: TfTensor
    let before: number
    beforeAll(async () => {
      await useBackend(backend)
      model = await goldenModel(name)
      ids = tf.tensor2d(model.ids, undefined, 'int32')
      before = tf.memory().numTensors
    })
    afterAll(() => {
      const { weights, expected, gradients } = model
      expect(tf.memory().numTensors).toBe(before)
      tf.dispose([weights, expected, gradients, ids])
    })

    it('computes the reference logits and first hidden state', () => {
      const { config, weights, expected } = model
      tf.tidy(() => {
        const logits = forward(config, weights, ids)
        expect(distance(logits, expected.logits)).toBeLessThan(1e-4)
        const hidden = block(config, weights, 0, embed(config, weights, ids))
        expect(distance(hidden, expected.hidden_1)).toBeLessThan(1e-4)
      })
    })

    it('computes the reference loss and gradients', () => {
      const { config, weights, gradients, loss } = model
      const names = Object.keys(gradients)
      tf.tidy(() => {
        const got = tf.valueAndGrads((...trained: TfTensor[]) => {
          const all = { ...weights, ...Object.fromEntries(trained.map((w, i) => [names[i], w])) }
          return nextTokenLoss(config, all, ids)
        })(names.map(n => weights[n]))
        expect(got.value.dataSync()[0]).toBeCloseTo(loss, 4)
        for (const [i, n] of names.entries())
          expect(relativeError(got.grads[i], gradients[n])).toBeLessThan(1e-3)
      })
    })

    it('takes a layer apart into sublayers, which end from the input of their last group', () => {
      const { config, weights, expected } = model
      const steps = sublayers(config, 0)
      const inputs = new Map<string, TfTensor>()
      const outputs = new Map<string, TfTensor>()
      const kept = (x: TfTensor) => tf.keep(x.clone())
      tf.tidy(() => {
        let x = embed(config, weights, ids)
        for (const { groups, forward, finish, lastOutput } of steps) {
          const y = forward(weights, x, {
            onInput: (module, input) => void inputs.set(module, kept(input)),
            linear: (module, _, base) => {
              const z = base()
              outputs.set(module, kept(z))
              return z
            },
          })
          const last = groups.at(-1)![0]
          expect([...inputs.keys()].at(-1)).toBe(last)
          expect(distance(finish!(weights, x, inputs.get(last)!), y)).toBe(0)
          if (lastOutput) expect(distance(lastOutput(weights, x, y), outputs.get(last)!)).toBeLessThan(1e-5)
          x = y
        }
        expect(distance(x, expected.hidden_1)).toBeLessThan(1e-4)
      })
      const groups = steps.flatMap(({ groups }) => groups)
      expect(groups.flat()).toEqual(linearModules(config, 0).map(({ name }) => name))
      for (const [leader, ...others] of groups) {
        for (const name of others) expect(distance(inputs.get(name)!, inputs.get(leader)!)).toBe(0)
      }
      tf.dispose([...inputs.values(), ...outputs.values()])
    })

    it('continues from a cache as if it had seen all at once', () => {
      const { config, weights, expected } = model
      const cache = createKvCache()
      tf.tidy(() => {
        const length = model.ids[0].length
        const parts: TfTensor[] = []
        for (const [from, to] of [
          [0, 10],
          [10, 13],
          ...Array.from({ length: length - 13 }, (_, i) => [13 + i, 14 + i]),
        ]) {
          parts.push(forward(config, weights, ids.slice([0, from], [2, to - from]), { cache }))
        }
        expect(cache.length(0)).toBe(length)
        expect(distance(tf.concat(parts, 1), expected.logits)).toBeLessThan(1e-4)
      })
      cache.dispose()
    })

    it('writes the reference’s likeliest tokens', async ({ skip }) => {
      const { config, weights, greedy } = model
      if (!greedy) return skip('the reference wrote none')
      const ids: number[] = []
      const options = { maxTokens: 8, temperature: 0, eos: [] }
      for await (const id of generateIds(config, weights, greedy.slice(0, 8), options)) ids.push(id)
      expect(ids).toEqual(greedy.slice(8))
    })

    it('attends in chunks to a long text as piece by piece', () => {
      const { config, weights } = model
      const cache = createKvCache()
      tf.tidy(() => {
        const long = tf.tile(ids, [1, 7]).slice([0, 0], [2, 150])
        const pieces = [0, 50, 100].map(from =>
          forward(config, weights, long.slice([0, from], [2, 50]), { cache }),
        )
        expect(distance(tf.concat(pieces, 1), forward(config, weights, long))).toBeLessThan(1e-4)
      })
      cache.dispose()
    })
  })
})

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
