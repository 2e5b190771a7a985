import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProgressEvent } from '@reallm/tensor-io'
import { useBackend } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { randomSequences } from '../calibrate/sequences.ts'
import { statistics } from '../calibrate/statistics.ts'
import { temporaryCheckpoint } from '../checkpoint/checkpoint.ts'
import { openEncoder } from '../encoder/encoder.ts'
import { sharedDecoders } from '../encoder/shared-decoders.ts'
import { openModel } from '../open/open-model.ts'
import { scoped } from '../scoped.ts'
import { settingsOf } from '../settings.ts'
import { measure } from './measure.ts'

vi.setConfig({ testTimeout: 180_000 })

let cache: string
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'sensitivity-test-'))
  vi.stubEnv('REALLM_CACHE', cache)
  await useBackend('wasm')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(cache, { recursive: true, force: true })
})

test('predicts the loss of every configuration; keeps it and the statistics for the next run', () =>
  scoped(async own => {
    const events: ProgressEvent[] = []
    const onProgress = (event: ProgressEvent) => void events.push(event)
    const settings = settingsOf({ recipe: 'reallm', effort: 'normal', seed: 1, onProgress })
    const model = own(await openModel('npm:@reallm/tiny', settings))
    const encoder = own(await openEncoder(settings.recipe, { threads: 0 }))
    // Twice as many as gradients are taken of.
    const counts = { calibration: 32, validation: 1, length: 192 }
    const options = {
      ...{ model, encoder, settings, decoders: sharedDecoders(model, settings), memory: { most: 2e9 } },
      sequences: randomSequences(model.config.vocabSize, counts, 1),
    }
    const run = async () => {
      const checkpoint = own(await temporaryCheckpoint())
      events.length = 0
      return { checkpoint, found: await measure({ ...options, checkpoint }) }
    }
    const first = await run()
    const { matrices } = model.parts
    expect(Object.keys(first.found).sort()).toEqual(matrices.map(m => m.name).sort())
    for (const { name } of matrices.filter(m => m.layer !== undefined)) {
      const losses = Object.values(first.found[name])
      for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThan(losses[i - 1])
    }

    const tokens = statistics.tokenWeights('model.layers.0.self_attn.q_proj')
    const weights = (await first.checkpoint.get(tokens))!
    expect([weights.rows, weights.cols]).toEqual([32, 192])
    expect(weights.data.every(v => v > 0)).toBe(true)
    const unlike = Array.from(
      { length: 32 },
      (_, s) => new Set(weights.data.subarray(192 * s, 192 * s + 192)).size,
    )
    expect(unlike).toEqual(unlike.map((_, s) => (s % 2 === 0 ? 192 : 2)))
    expect(weights.data.reduce((sum, v) => sum + v, 0) / (32 * 192)).toBeCloseTo(1, 4)
    expect(
      await first.checkpoint.get(statistics.tokenWeights('model.layers.0.self_attn.k_proj')),
    ).toBeUndefined()
    const { hiddenSize } = model.config
    const down = statistics.outputGradients('model.layers.0.mlp.down_proj')
    expect(await first.checkpoint.get(down)).toMatchObject({ rows: hiddenSize, cols: hiddenSize })

    const second = await run()
    expect(second.found).toEqual(first.found)
    expect(events).toEqual([])
    expect(await second.checkpoint.get(tokens)).toEqual(weights)

    const [kept] = await readdir(cache)
    await writeFile(join(cache, kept, 'sensitivity.json'), '{"damaged')
    const third = await run()
    expect(third.found).toEqual(first.found)
    expect(events[0]).toMatchObject({
      event: 'warning',
      message: expect.stringMatching(/the cache is not used: .*sensitivity\.json/),
    })
  }))
