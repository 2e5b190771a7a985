import { fileURLToPath } from 'node:url'
import { random, type SampleOptions } from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/models'
import { fixture, goldenConfig, goldenModels } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { WeightForm } from '../../src/backend/weight.ts'
import { Decoder } from '../../src/decoder.ts'
import { loadWeights } from '../../src/load-weights.ts'
import { Session } from '../../src/session.ts'
import { golden } from '../golden.ts'
import { distance } from './distance.ts'

const tiny = fileURLToPath(new URL('../../../tiny/model', import.meta.url))

/** Golden models with recurrent layers, experts, sinks, or keys and values of earlier layers. */
const special = ['gemma4_text', 'lfm2', 'granitemoehybrid', 'qwen3_5_text', 'qwen3_moe', 'gpt_oss']

async function decoderOf(backend: Backend, where: string, form: WeightForm, family?: string) {
  const model = await openWeights(where)
  const config = family ? goldenConfig(family, model.config) : model.config
  const decoder = await Decoder.create(backend, config, await loadWeights(backend, model, { form }))
  await model.close()
  return decoder
}

const likeliest = (logits: Float32Array) => logits.indexOf(Math.max(...logits))

/** Runs models of all families, token by token and in batches, beside the reference. */
export function modelConformance(
  open: () => { readonly reference: Backend; readonly backend: Backend; readonly exact: WeightForm },
  tolerance: number,
  allLayers: boolean,
): void {
  const families = goldenModels.filter(name => allLayers || !special.includes(name))
  describe.each(families)('%s', family => {
    it('computes the reference’s logits, and the same likeliest token, at every position', async () => {
      const { reference, backend, exact } = open()
      const { rows } = await golden(family)
      const where = fixture(`models/${family}`)
      const wanted = await decoderOf(reference, where, 'f32', family)
      const tested = await decoderOf(backend, where, exact, family)
      const { vocabSize } = wanted.config
      for (const ids of rows) {
        using whole = new Session(tested)
        using single = new Session(tested)
        using judge = new Session(wanted)
        const [batch, want] = [await whole.logits(ids), await judge.logits(ids)]
        for (const [t, id] of ids.entries()) {
          const row = want.subarray(t * vocabSize, (t + 1) * vocabSize)
          for (const got of [batch.subarray(t * vocabSize, (t + 1) * vocabSize), await single.next(id)]) {
            expect(distance(got, row)).toBeLessThan(tolerance)
            expect(likeliest(got)).toBe(likeliest(row))
          }
        }
      }
    })
  })

  it.each(families)('%s: texts that are read at a time give what each gives alone', async family => {
    const { backend, exact } = open()
    const { rows } = await golden(family)
    const decoder = await decoderOf(backend, fixture(`models/${family}`), exact, family)
    // of different lengths, so that one reads a prompt while others read a token; longer than any model's window
    const texts = [...rows, rows[0].slice(3)].map(ids => ids.slice(0, 12))
    const read = async (ids: readonly number[]): Promise<Float32Array[]> => {
      using session = new Session(decoder)
      const logits = [await session.feed(ids.slice(0, 4))]
      for (const id of ids.slice(4)) logits.push(await session.next(id))
      return logits
    }
    const together = await Promise.all(texts.map(read))
    for (const [i, ids] of texts.entries()) {
      const alone = await read(ids)
      for (const [t, want] of alone.entries()) expect(distance(together[i][t], want)).toBeLessThan(tolerance)
    }
  })

  describe('the embedded model', () => {
    const prompt = [53, 411, 287, 300, 12, 1000]

    async function tokens(decoder: Decoder, options: SampleOptions, count: number): Promise<number[]> {
      using session = new Session(decoder)
      const draws = random(5)
      const drawn: number[] = []
      for (let unread: readonly number[] = prompt; drawn.length < 10; ) {
        const next = await session.draw(unread, { ...options, random: draws, count })
        drawn.push(...next)
        unread = next.slice(-1)
      }
      return drawn.slice(0, 10)
    }

    it.each<[string, SampleOptions]>([
      ['greedily', {}],
      ['greedily with a repetition penalty', { repetitionPenalty: 1.3 }],
      ['by temperature', { temperature: 0.9 }],
      ['by top-k', { temperature: 1, topK: 12 }],
      ['by top-p', { temperature: 1.1, topP: 0.8 }],
      ['by min-p and all', { temperature: 1, topK: 60, topP: 0.95, minP: 0.02, repetitionPenalty: 1.1 }],
    ])('writes what the reference writes %s, one by one and several at a time', async (_, options) => {
      const { reference, backend, exact } = open()
      const want = await tokens(await decoderOf(reference, tiny, 'f32'), options, 1)
      const tested = await decoderOf(backend, tiny, exact)
      expect(new Set(want).size).toBeGreaterThan(2)
      expect(await tokens(tested, options, 1)).toEqual(want)
      expect(await tokens(tested, options, 5)).toEqual(want)
    })
  })
}
