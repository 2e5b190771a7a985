import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Matrix } from '@reallm/tensor-io'
import { openWeights, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import { partsOfModel } from './modules.ts'
import { encodePool } from './pool.ts'
import { builtInRecipe } from './recipes.ts'
import { survey } from './survey.ts'
import { randomWindows } from './windows.ts'

test('tells of every choice what it would cost, and how much each token matters', async () => {
  await useBackend('wasm')
  const model = await openWeights('npm:@reallm/tiny')
  const recipe = builtInRecipe('reallm')
  const pool = encodePool(recipe, true, { threads: 0 })
  const scratch = await mkdtemp(join(tmpdir(), 'survey-test-'))
  const windows = randomWindows(model.config.vocabSize, { windows: 8, heldOut: 1, length: 24 }, 1)
  const { matrices } = partsOfModel(model.config, 'blocks')
  const kept = new Map<string, Matrix>()
  try {
    const damages = await survey({
      ...{ model, matrices, recipe, effort: 'fast' as const, seed: 1, windows, pool, scratch },
      keep: async (name, values) => void kept.set(name, values),
    })
    expect(Object.keys(damages).sort()).toEqual(matrices.map(m => m.name).sort())
    for (const of of Object.values(damages)) {
      for (const [i, damage] of of.entries()) expect(damage).toBeGreaterThan(of[i + 1] ?? 0)
    }
    const { rows, cols, data } = kept.get('model.layers.0.self_attn.q_proj.tokens')!
    expect([rows, cols]).toEqual([8, 24])
    const looked = Array.from({ length: 8 }, (_, w) => data.subarray(24 * w, 24 * w + 24).some(v => v > 0))
    expect(looked).toEqual([true, false, true, false, true, false, true, false])
    expect(data.reduce((sum, v) => sum + v, 0) / (4 * 24)).toBeCloseTo(1, 4)
    expect(kept.has('model.layers.0.self_attn.k_proj.tokens')).toBe(false)
    const { hiddenSize } = model.config
    expect(kept.get('model.layers.0.mlp.down_proj')).toMatchObject({ rows: hiddenSize, cols: hiddenSize })
  } finally {
    await pool.close()
    await model.close()
    await rm(scratch, { recursive: true, force: true })
  }
})
