import { linearModules } from '@reallm/tensor-io/models'
import { goldenTests } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateIds } from '../src/generate.ts'
import { createKvCache } from '../src/kv-cache.ts'
import { hiddenOf } from '../src/stream.ts'
import { type BackendName, type TfTensor, tf, useBackend } from '../src/tf.ts'
import { block, embed, forward, nextTokenLoss, sublayers } from '../src/transformer.ts'
import { distance, type GoldenModel, goldenModel, relativeError } from './golden.ts'

/** Logits may be so far from the reference's: norms of what heads read, when that is little, magnify what is rounded. */
const tolerances: Readonly<Record<string, number>> = { qwen3_5_text: 5e-4 }

/** Every golden model on one backend: logits, loss, gradients, sublayers, generation with and without a cache. */
export function testGoldenModels(backend: BackendName): void {
  describe.each(goldenTests.eval)('%s', name => {
    const tolerance = tolerances[name] ?? 1e-4
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
        expect(distance(logits, expected.logits)).toBeLessThan(tolerance)
        const hidden = block(config, weights, 0, embed(config, weights, ids))
        expect(distance(hiddenOf(config, hidden), expected.hidden_1)).toBeLessThan(1e-4)
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
        for (const { groups, last, forward, finish, lastOutput } of steps) {
          const y = forward(weights, x, {
            onInput: (module, input) => void inputs.set(module, kept(input)),
            linear: (module, _, base) => {
              const z = base()
              outputs.set(module, kept(z))
              return z
            },
          })
          if (last !== undefined) {
            expect([...inputs.keys()].at(-1)).toBe(last)
            expect(groups.at(-1)).toEqual([last])
            if (finish) expect(distance(finish(weights, x, inputs.get(last)!), y)).toBe(0)
          }
          if (lastOutput) expect(distance(lastOutput(weights, x, y), outputs.get(last!)!)).toBeLessThan(1e-5)
          x = y
        }
        expect(distance(hiddenOf(config, x), expected.hidden_1)).toBeLessThan(1e-4)
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
        expect(distance(tf.concat(parts, 1), expected.logits)).toBeLessThan(tolerance)
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
        expect(distance(tf.concat(pieces, 1), forward(config, weights, long))).toBeLessThan(tolerance)
      })
      cache.dispose()
    })
  })
}
