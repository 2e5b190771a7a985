import { autoencoder } from '@reallm/autoencoder'
import { squaredNorm } from '@reallm/kernels'
import { romCodec } from '@reallm/lowrank'
import { correlatedHessian } from '@reallm/testing'
import { openWeights, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import type { SplitHessians } from '../calibrate/split-hessian.ts'
import { openEncoder } from '../encoder/encoder.ts'
import { sharedDecoders } from '../encoder/shared-decoders.ts'
import { openModel } from '../open/open-model.ts'
import { readMatrix } from '../open/read-matrix.ts'
import { type Configuration, configuration } from '../recipes/configuration.ts'
import { type Recipe, recipe } from '../recipes/recipe.ts'
import { scoped } from '../scoped.ts'
import { settingsOf } from '../settings.ts'
import { configurationErrors } from './configuration-errors.ts'

/** Keys of the embedded model's first layer. */
const keys = 'model.layers.0.self_attn.k_proj'

/** Errors of a recipe's configurations for those keys. */
const errorsOf = (own: Recipe, hessians: (width: number) => SplitHessians): Promise<number[]> =>
  scoped(async close => {
    await useBackend('wasm')
    const settings = settingsOf({ recipe: own, effort: 'fast', seed: 1, scope: 'blocks' })
    const model = close(await openModel('npm:@reallm/tiny', settings))
    const encoder = close(await openEncoder(own, {}))
    const module = model.parts.matrices.find(m => m.name === keys)!
    const statistics = { module, hessians: hessians(module.shape[1]), gradient: 1 }
    const options = { model, encoder, settings, decoders: sharedDecoders(model, settings) }
    const errors = await configurationErrors(options, statistics)
    return [...errors.values()]
  })

const offering = (configurations: () => Configuration[]): Recipe =>
  recipe({
    ...{ name: 'own', what: 'some configurations', source: 'this test' },
    ...{ layers: configurations, embeddings: configurations },
    ...{ allocate: 'measured', objective: { kind: 'outputs' } },
  })

test('rates of a family that trains lose less the more bits they have, measured by their trials', async () => {
  const trained = (latentBits: number, steps: number) =>
    configuration({
      id: `${latentBits} bits, ${steps} steps`,
      codec: autoencoder,
      params: { stages: 1, latentWidth: 4, latentBits, patch: 32, steps },
      family: 'networks',
    })
  const networks = () =>
    [1, 2, 3].map(bits => ({ ...trained(bits, 8), trials: [trained(bits, 0), trained(bits, 2)] }))
  const errors = await errorsOf(offering(networks), n => {
    const data = Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0))
    const identity = { rows: n, cols: n, data }
    return { rounding: identity, measuring: identity }
  })
  expect(errors[0]).toBeGreaterThan(1.5 * errors[1])
  expect(errors[1]).toBeGreaterThan(1.5 * errors[2])
})

test('a product of factors is measured on the whole matrix, under other tokens than it is made for', async () => {
  const shares = () =>
    [0.3, 0.6].map(share =>
      configuration({
        id: `${share}`,
        codec: romCodec,
        params: { share },
        family: 'rom',
        needsAllRows: true,
      }),
    )
  const hessians = (n: number) => ({ rounding: correlatedHessian(n, 2), measuring: correlatedHessian(n, 3) })
  const errors = await errorsOf(offering(shares), hessians)
  const model = await openWeights('npm:@reallm/tiny')
  const w = await readMatrix(model, `${keys}.weight`)
  await model.close()
  const { rounding, measuring } = hessians(w.cols)
  for (const [i, share] of [0.3, 0.6].entries()) {
    const decoded = romCodec.decode(await romCodec.encode(w, { share }, { hessian: rounding, seed: 1 }))
    const lost = { ...w, data: w.data.map((v, k) => v - decoded.data[k]) }
    expect(errors[i] / squaredNorm(lost, { hessian: measuring })).toBeCloseTo(1, 3)
  }
})
