import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWeights, useBackend } from '@reallm/transformer'
import { expect, test, vi } from 'vitest'
import { randomWindows } from '../calibrate/sequences.ts'
import { matrixFiles } from '../checkpoint/matrix-files.ts'
import { encodePool } from '../encoder/encoder.ts'
import { sharedFits } from '../encoder/shared-decoders.ts'
import { partsOfModel } from '../open/model-parts.ts'
import { builtInRecipe } from '../recipes/recipes.ts'
import { measuredSurvey } from './measure.ts'

vi.setConfig({ testTimeout: 180_000 })

test('tells of every choice what it would cost, and how much each token matters; a second time from the cache', async () => {
  await useBackend('wasm')
  const folder = await mkdtemp(join(tmpdir(), 'survey-test-'))
  process.env.REALLM_CACHE = join(folder, 'cache')
  const model = await openWeights('npm:@reallm/tiny')
  const recipe = builtInRecipe('reallm')
  const pool = encodePool(recipe, true, { threads: 0 })
  const windows = randomWindows(model.config.vocabSize, { windows: 16, heldOut: 1, length: 24 }, 1)
  const { matrices } = partsOfModel(model.config, 'all')
  const about = { model, matrices, recipe, effort: 'fast' as const, seed: 1 }
  const options = { ...about, windows, pool, shared: sharedFits(about) }
  const places = ['first', 'second'].map(name => join(folder, name))
  for (const place of places) await mkdir(place)
  try {
    const found = await measuredSurvey('digest', options, places[0])
    const { damages } = found
    expect(Object.keys(damages).sort()).toEqual(matrices.map(m => m.name).sort())
    for (const { name } of matrices.filter(m => m.block !== undefined)) {
      for (const [i, damage] of damages[name].entries())
        expect(damage).toBeGreaterThan(damages[name][i + 1] ?? 0)
    }
    const kept = matrixFiles(places[0])
    const tokens = 'model.layers.0.self_attn.q_proj.tokens'
    const { rows, cols, data } = await kept.read(tokens)
    expect([rows, cols]).toEqual([16, 24])
    expect(data.every(v => v > 0)).toBe(true)
    const unlike = Array.from({ length: 16 }, (_, w) => new Set(data.subarray(24 * w, 24 * w + 24)).size)
    expect(unlike).toEqual(unlike.map((_, w) => (w % 2 === 0 ? 24 : 2)))
    expect(data.reduce((sum, v) => sum + v, 0) / (16 * 24)).toBeCloseTo(1, 4)
    await expect(kept.read('model.layers.0.self_attn.k_proj.tokens')).rejects.toThrow()
    const { hiddenSize } = model.config
    const down = 'model.layers.0.mlp.down_proj'
    expect(await kept.read(down)).toMatchObject({ rows: hiddenSize, cols: hiddenSize })

    const onProgress = () => {
      throw new Error('surveyed again')
    }
    expect(await measuredSurvey('digest', { ...options, onProgress }, places[1])).toEqual(found)
    expect(await matrixFiles(places[1]).read(tokens)).toEqual({ rows, cols, data })
  } finally {
    await pool.close()
    await model.close()
    await rm(folder, { recursive: true, force: true })
  }
})
