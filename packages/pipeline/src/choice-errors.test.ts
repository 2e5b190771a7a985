import { autoencoder } from '@reallm/autoencoder'
import { openWeights, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import { choiceErrors } from './choice-errors.ts'
import { partsOfModel } from './modules.ts'
import { encodePool } from './pool.ts'
import { choice, recipe } from './recipe.ts'
import { sharedFits } from './shared-fits.ts'

test('rates of a family that is trained lose less the more bits they have, measured by their trials', async () => {
  await useBackend('wasm')
  const trained = (latentBits: number, steps: number) =>
    choice(
      `${latentBits} bits`,
      autoencoder,
      { stages: 1, latentWidth: 4, latentBits, patch: 32, steps },
      'networks',
    )
  const networks = () =>
    [1, 2, 3].map(bits => ({ ...trained(bits, 8), trials: [trained(bits, 0), trained(bits, 2)] }))
  const own = recipe('networks', {
    ...{ what: 'networks at three rates', source: 'this test', calibrated: true },
    ...{ block: networks, embedding: networks },
  })
  const model = await openWeights('npm:@reallm/tiny')
  const { matrices } = partsOfModel(model.config, 'blocks')
  const about = { model, matrices, recipe: own, effort: 'fast' as const, seed: 1 }
  const pool = encodePool(own, false)
  const module = matrices.find(m => m.name.endsWith('0.self_attn.k_proj'))!
  const n = module.shape[1]
  const identity = Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0))
  const errors = await choiceErrors({ ...about, pool, shared: sharedFits(about) }, module, {
    rows: n,
    cols: n,
    data: identity,
  })
  await pool.close()
  await model.close()
  expect(errors[0]).toBeGreaterThan(1.5 * errors[1])
  expect(errors[1]).toBeGreaterThan(1.5 * errors[2])
})
