import { readFile } from 'node:fs/promises'
import { openModel } from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/models'
import { fixture, goldenConfig, goldenModelsInRuntime } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import { Decoder } from './decoder.ts'
import { Engine } from './engine.ts'
import { KvCache } from './kv-cache.ts'
import { loadWeights, type WeightForm } from './load-weights.ts'

const models = fixture('models/')

async function golden(family: string) {
  const rows: number[][] = JSON.parse(await readFile(`${models}${family}/tokens.json`, 'utf8'))
  const expected = await openModel(`${models}${family}/expected.safetensors`)
  const { data } = await expected.readFloat32('logits')
  await expected.close()
  return { rows, logits: data }
}

async function start(family: string, form: WeightForm, build?: 'plain' | 'reference') {
  const engine = await Engine.start(build ? { build } : {})
  const model = await openWeights(`${models}${family}`)
  const config = goldenConfig(family, model.config)
  const decoder = new Decoder(engine, config, await loadWeights(engine, model, { form }))
  await model.close()
  return { engine, decoder, cache: () => new KvCache(engine, config) }
}

/** ‖got − want‖ / ‖want‖ */
function distance(got: Float32Array, want: Float32Array): number {
  let [difference, norm] = [0, 0]
  for (const [i, value] of want.entries()) {
    difference += (got[i] - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(difference / norm)
}

describe.each(goldenModelsInRuntime)('%s', family => {
  it.each([
    ['f32', undefined, 1e-5],
    ['f32', 'reference', 1e-5],
    ['expanded', undefined, 1e-2],
    ['expanded', 'reference', 1e-2],
    ['int8', undefined, 0.12],
  ] as const)('%s (%s): logits of a batch and token by token', async (form, build, tolerance) => {
    const { rows, logits } = await golden(family)
    const { decoder, cache } = await start(family, form, build)
    const all = cache()
    const size = logits.length / 2
    const got = decoder.forward(rows[0], all, 'all')
    expect(distance(got, logits.subarray(0, size))).toBeLessThan(tolerance)

    const oneByOne = cache()
    const vocab = decoder.config.vocabSize
    for (const [t, id] of rows[1].entries()) {
      const last = decoder.forward([id], oneByOne, 'last')
      const from = size + t * vocab
      expect(distance(last, logits.subarray(from, from + vocab))).toBeLessThan(tolerance)
    }
  })
})
