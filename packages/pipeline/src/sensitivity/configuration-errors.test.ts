import { autoencoder } from '@reallm/autoencoder'
import { squaredNorm } from '@reallm/kernels'
import { romCodec } from '@reallm/lowrank'
import { correlatedHessian } from '@reallm/testing'
import { openWeights, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import { readMatrix } from '../calibrate/hidden-states.ts'
import { encodePool } from '../encoder/encoder.ts'
import { sharedFits } from '../encoder/shared-decoders.ts'
import { partsOfModel } from '../open/model-parts.ts'
import { type Choice, choice, type Recipe, recipe } from '../recipes/recipe.ts'
import { choiceErrors, type SplitMoments } from './configuration-errors.ts'

/** Keys of the embedded model's first block. */
const keys = 'model.layers.0.self_attn.k_proj'

/** Errors of a recipe's choices for those keys. */
async function errorsOf(own: Recipe, moments: (width: number) => SplitMoments): Promise<number[]> {
  await useBackend('wasm')
  const model = await openWeights('npm:@reallm/tiny')
  const { matrices } = partsOfModel(model.config, 'blocks')
  const about = { model, matrices, recipe: own, effort: 'fast' as const, seed: 1 }
  const pool = encodePool(own, false)
  const module = matrices.find(m => m.name === keys)!
  try {
    const options = { ...about, pool, shared: sharedFits(about) }
    return await choiceErrors(options, module, moments(module.shape[1]))
  } finally {
    await pool.close()
    await model.close()
  }
}

const ofChoices = (choices: () => Choice[]): Recipe =>
  recipe('own', {
    ...{ what: 'some choices', source: 'this test', calibrated: true },
    ...{ block: choices, embedding: choices },
  })

test('rates of a family that is trained lose less the more bits they have, measured by their trials', async () => {
  const trained = (latentBits: number, steps: number) =>
    choice(
      `${latentBits} bits`,
      autoencoder,
      { stages: 1, latentWidth: 4, latentBits, patch: 32, steps },
      'networks',
    )
  const networks = () =>
    [1, 2, 3].map(bits => ({ ...trained(bits, 8), trials: [trained(bits, 0), trained(bits, 2)] }))
  const errors = await errorsOf(ofChoices(networks), n => {
    const data = Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0))
    const identity = { rows: n, cols: n, data }
    return { rounding: identity, damage: identity }
  })
  expect(errors[0]).toBeGreaterThan(1.5 * errors[1])
  expect(errors[1]).toBeGreaterThan(1.5 * errors[2])
})

test('a joint choice is measured on the whole matrix, under other tokens than it is made for', async () => {
  const shares = () =>
    [0.3, 0.6].map(share => ({ ...choice(`${share}`, romCodec, { share }, 'rom'), joint: true }))
  const moments = (n: number) => ({ rounding: correlatedHessian(n, 2), damage: correlatedHessian(n, 3) })
  const errors = await errorsOf(ofChoices(shares), moments)
  const model = await openWeights('npm:@reallm/tiny')
  const w = await readMatrix(model, `${keys}.weight`)
  await model.close()
  const { rounding, damage } = moments(w.cols)
  for (const [i, share] of [0.3, 0.6].entries()) {
    const decoded = romCodec.decode(await romCodec.encode(w, { share }, { hessian: rounding, seed: 1 }))
    const lost = { ...w, data: w.data.map((v, k) => v - decoded.data[k]) }
    expect(errors[i] / squaredNorm(lost, { hessian: damage })).toBeCloseTo(1, 3)
  }
})
