import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWeights } from '@reallm/tensor-io/models'
import { fixture, writeRandomModel } from '@reallm/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openBackend } from './backend/open-backend.ts'
import { Decoder } from './decoder.ts'
import { loadWeights } from './load-weights.ts'
import { Session } from './session.ts'

const config = {
  model_type: 'phi3',
  vocab_size: 40,
  hidden_size: 24,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  original_max_position_embeddings: 8,
  partial_rotary_factor: 0.5,
  rope_scaling: { type: 'longrope', short_factor: [1, 1.2, 1.4], long_factor: [1, 2, 4] },
}

let folder: string
let decoder: Decoder
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'session-'))
  await writeRandomModel(folder, config)
  const model = await openWeights(folder)
  const backend = await openBackend({})
  decoder = await Decoder.create(backend, model.config, await loadWeights(backend, model, { form: 'f32' }))
  await model.close()
})
afterAll(() => rm(folder, { recursive: true }))

const ids = Array.from({ length: 14 }, (_, i) => (7 * i * i + 3) % 40)
const size = config.vocab_size
const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((v, i) => Math.abs(v - b[i])))

it('reads a text again when it becomes longer than LongRoPE’s short one, and when it is shortened', async () => {
  const whole = (length: number) => new Session(decoder).logits(ids.slice(0, length))
  const [short, long] = [await whole(8), await whole(14)]
  expect(distance(short.subarray(7 * size), long.subarray(7 * size, 8 * size))).toBeGreaterThan(1e-3)

  const session = new Session(decoder)
  for (const [i, id] of ids.entries()) {
    const got = await session.next(id)
    const wanted = i < 8 ? short.subarray(i * size, (i + 1) * size) : (await whole(i + 1)).subarray(i * size)
    expect(distance(got, wanted)).toBeLessThan(1e-4)
  }
  session.truncate(7)
  expect(distance(await session.next(ids[7]), short.subarray(7 * size))).toBeLessThan(1e-4)
  expect(distance(await session.feed(ids.slice(8)), long.subarray(13 * size))).toBeLessThan(1e-4)
  expect(session.tokens).toEqual(ids)
})

it.each(['lfm2', 'granitemoehybrid', 'qwen3_5_text'])(
  'reads a text again from its start where the states of %s cannot go back',
  async family => {
    const model = await openWeights(fixture(`models/${family}`))
    using backend = await openBackend({})
    const weights = await loadWeights(backend, model, { form: 'f32' })
    const decoder = await Decoder.create(backend, model.config, weights)
    await model.close()
    const fresh = async (ids: readonly number[]) => {
      using session = new Session(decoder)
      return await session.feed(ids)
    }
    using session = new Session(decoder)
    await session.feed(ids)
    session.truncate(5)
    expect(session.tokens).toEqual(ids.slice(0, 5))
    expect(distance(await session.next(9), await fresh([...ids.slice(0, 5), 9]))).toBeLessThan(1e-4)

    const other = [...ids.slice(0, 3), 30, 31, 32]
    const unread = session.resume(other)
    expect(unread).toEqual([30, 31, 32])
    expect(distance(await session.feed(unread), await fresh(other))).toBeLessThan(1e-4)
  },
)

it.each(['f32', 'int8'] as const)(
  'goes on from a prefix, keys and values of %s being shared by layers',
  async kvCache => {
    const model = await openWeights(fixture('models/gemma4_text'))
    using backend = await openBackend({ kvCache })
    const weights = await loadWeights(backend, model, { form: 'f32' })
    const decoder = await Decoder.create(backend, model.config, weights)
    await model.close()
    const fresh = async (ids: readonly number[]) => {
      using session = new Session(decoder)
      return await session.feed(ids)
    }
    using session = new Session(decoder)
    const written = await session.feed(ids)
    expect(distance(written, await fresh(ids))).toBe(0)
    const other = [...ids.slice(0, 9), 30, 31, 32]
    const unread = session.resume(other)
    expect(unread).toEqual([30, 31, 32])
    expect(distance(await session.feed(unread), await fresh(other))).toBeLessThan(1e-4)
  },
)
