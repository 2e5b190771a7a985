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

async function decoderOf(backend: Backend, where: string, form: WeightForm, family?: string) {
  const model = await openWeights(where)
  const config = family ? goldenConfig(family, model.config) : model.config
  const decoder = await Decoder.create(backend, config, await loadWeights(backend, model, { form }))
  await model.close()
  return decoder
}

/** Tokens that are drawn by each way of sampling. */
const DRAWN = 6

/** The logits after each token of a text. */
async function logitsOf(decoder: Decoder, ids: readonly number[]): Promise<Float32Array[]> {
  using session = new Session(decoder)
  return rowsOf(decoder, await session.logits(ids))
}

const rowsOf = ({ config: { vocabSize } }: Decoder, logits: Float32Array): Float32Array[] =>
  Array.from({ length: logits.length / vocabSize }, (_, t) =>
    logits.subarray(t * vocabSize, (t + 1) * vocabSize),
  )

/** Makes what several tests use when the first of them needs it. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

const likeliest = (logits: Float32Array) => logits.indexOf(Math.max(...logits))

/** Runs models of all families, token by token and in batches, beside the reference. */
export function modelConformance(
  open: () => { readonly reference: Backend; readonly backend: Backend; readonly exact: WeightForm },
  tolerance: number,
): void {
  describe.each(goldenModels)('%s', family => {
    const decoders = once(async () => {
      const { reference, backend, exact } = open()
      const where = fixture(`models/${family}`)
      const wanted = await decoderOf(reference, where, 'f32', family)
      return { wanted, tested: await decoderOf(backend, where, exact, family) }
    })

    it('computes the reference’s logits, and the same likeliest token, at every position', async () => {
      const { wanted, tested } = await decoders()
      for (const ids of (await golden(family)).rows) {
        using whole = new Session(tested)
        using single = new Session(tested)
        const [batch, want] = [rowsOf(tested, await whole.logits(ids)), await logitsOf(wanted, ids)]
        for (const [t, id] of ids.entries()) {
          for (const got of [batch[t], await single.next(id)]) {
            expect(distance(got, want[t])).toBeLessThan(tolerance)
            expect(likeliest(got)).toBe(likeliest(want[t]))
          }
        }
      }
    })

    it('computes them of texts that are read at a time', async () => {
      const { wanted, tested } = await decoders()
      const { rows } = await golden(family)
      // of different lengths, so that one reads a prompt while others read a token; longer than any model's window
      const texts = [...rows, rows[0].slice(3)].map(ids => ids.slice(0, 12))
      const read = async (ids: readonly number[]): Promise<Float32Array[]> => {
        using session = new Session(tested)
        const logits = [await session.feed(ids.slice(0, 4))]
        for (const id of ids.slice(4)) logits.push(await session.next(id))
        return logits
      }
      const together = await Promise.all(texts.map(read))
      for (const [i, ids] of texts.entries()) {
        const want = (await logitsOf(wanted, ids)).slice(3)
        expect(together[i].length).toBe(want.length)
        for (const [t, row] of want.entries()) expect(distance(together[i][t], row)).toBeLessThan(tolerance)
      }
    })
  })

  describe('the embedded model', () => {
    const prompt = [53, 411, 287, 300, 12, 1000]
    const decoders = once(async () => {
      const { reference, backend, exact } = open()
      return {
        wanted: await decoderOf(reference, tiny, 'f32'),
        tested: await decoderOf(backend, tiny, exact),
      }
    })

    async function tokens(decoder: Decoder, options: SampleOptions, count: number): Promise<number[]> {
      using session = new Session(decoder)
      const draws = random(5)
      const drawn: number[] = []
      for (let unread: readonly number[] = prompt; drawn.length < DRAWN; ) {
        const next = await session.draw(unread, { ...options, random: draws, count })
        drawn.push(...next)
        unread = next.slice(-1)
      }
      return drawn.slice(0, DRAWN)
    }

    it.each<[string, SampleOptions]>([
      ['greedily', {}],
      ['greedily with a repetition penalty', { repetitionPenalty: 1.3 }],
      ['by temperature', { temperature: 0.9 }],
      ['by top-k', { temperature: 1, topK: 12 }],
      ['by top-p', { temperature: 1.1, topP: 0.8 }],
      ['by min-p and all', { temperature: 1, topK: 60, topP: 0.95, minP: 0.02, repetitionPenalty: 1.1 }],
    ])('writes what the reference writes %s, one by one and several at a time', async (_, options) => {
      const { wanted, tested } = await decoders()
      const want = await tokens(wanted, options, 1)
      expect(new Set(want).size).toBeGreaterThan(2)
      expect(await tokens(tested, options, 1)).toEqual(want)
      expect(await tokens(tested, options, DRAWN / 2)).toEqual(want)
    })
  })
}
