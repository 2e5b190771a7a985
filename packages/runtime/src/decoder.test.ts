import { openWeights } from '@reallm/tensor-io/models'
import { fixture, goldenConfig, goldenModels } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import { golden } from '../test/golden.ts'
import type { Backend } from './backend/backend.ts'
import { referenceBackend } from './backend/reference/reference-backend.ts'
import { wasmBackend } from './backend/wasm/wasm-backend.ts'
import type { WeightForm } from './backend/weight.ts'
import { Decoder } from './decoder.ts'
import { loadWeights } from './load-weights.ts'
import { Session } from './session.ts'

async function start(backend: Backend, family: string, form: WeightForm): Promise<Decoder> {
  const model = await openWeights(fixture(`models/${family}`))
  const config = goldenConfig(family, model.config)
  const decoder = await Decoder.create(backend, config, await loadWeights(backend, model, { form }))
  await model.close()
  return decoder
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

const backends = {
  wasm: () => wasmBackend(),
  'wasm without SIMD': () => wasmBackend({ build: 'reference' }),
  reference: async () => referenceBackend(),
}

/** Norms of what heads read, when that is little, magnify what is rounded, in the reference too. */
const slack: Readonly<Record<string, number>> = { qwen3_5_text: 5 }

/** Hidden states that are rounded may choose another expert. */
const ofExperts = ['qwen3_moe', 'gpt_oss']

describe.each(goldenModels)('%s', family => {
  it.each([
    ['f32', 'wasm', 1e-5],
    ['f32', 'wasm without SIMD', 1e-5],
    ['f32', 'reference', 1e-5],
    ['expanded', 'wasm', 1e-2],
    ['expanded', 'wasm without SIMD', 1e-2],
    ['int8', 'wasm', 0.12],
  ] as const)('%s on %s: logits of a batch and token by token', async (form, name, closeness) => {
    const chooses = ofExperts.includes(family) && form === 'int8' ? 5 : 1
    const tolerance = closeness * (slack[family] ?? 1) * chooses
    const { rows, logits } = await golden(family)
    using backend = await backends[name]()
    const { program, config } = await start(backend, family, form)
    const size = logits.length / 2
    const mixers = config.layerSpecs.map(({ mixer }) => mixer)
    using all = backend.state(mixers)
    const got = await program.logits({ ids: rows[0], state: all, length: rows[0].length }, 'all')
    expect(distance(got, logits.subarray(0, size))).toBeLessThan(tolerance)

    using state = backend.state(mixers)
    for (const [t, id] of rows[1].entries()) {
      const last = await program.logits({ ids: [id], state, length: t + 1 }, 'last')
      const from = size + t * config.vocabSize
      expect(distance(last, logits.subarray(from, from + config.vocabSize))).toBeLessThan(tolerance)
    }
  })

  it('writes the reference’s likeliest tokens', async ({ skip }) => {
    const { greedy } = await golden(family)
    if (!greedy) return skip('the reference wrote none')
    using backend = await wasmBackend()
    using session = new Session(await start(backend, family, 'f32'))
    const ids: number[] = []
    for (let unread = greedy.slice(0, 8); ids.length < 8; unread = ids.slice(-1)) {
      ids.push(...(await session.draw(unread, { random: { uniform: () => 0 } })))
    }
    expect(ids).toEqual(greedy.slice(8))
  })
})
