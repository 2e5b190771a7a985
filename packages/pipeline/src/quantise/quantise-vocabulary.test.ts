import { partsOf } from '@reallm/tensor-io'
import { correlatedHessian } from '@reallm/testing'
import { expect, test } from 'vitest'
import { memoryScratch } from '../calibrate/activations.ts'
import { temporaryCheckpoint } from '../checkpoint/checkpoint.ts'
import type { EncodeJob } from '../encoder/encode-job.ts'
import { openEncoder } from '../encoder/encoder.ts'
import { sharedDecoders } from '../encoder/shared-decoders.ts'
import { openModel } from '../open/open-model.ts'
import { configurationsFor } from '../recipes/recipe.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { settingsOf } from '../settings.ts'
import { quantiseVocabulary } from './quantise-vocabulary.ts'
import { quantisedMatrices } from './quantised-matrices.ts'

test.each([
  ['trellis-3b-L8-row', true],
  ['trellis-3b-L8-use', true],
  ['grid-5b-row', true],
  ['trellis-3b-L8', false],
])('%s: an embedding is read, encoded and stored in bands: %s', async (id, inBands) => {
  const settings = settingsOf({ effort: 'fast' })
  const opened = await openModel('npm:@reallm/tiny', settings)
  const held: number[] = []
  const model = {
    ...opened,
    weights: {
      ...opened.weights,
      async read(name: string, rows?: readonly [number, number]) {
        const found = await opened.weights.read(name, rows)
        held.push(found.data.length)
        return found
      },
    },
  }
  const encoder = await openEncoder(settings.recipe, { threads: 0 })
  const module = model.parts.matrices.find(m => m.kind === 'embed_tokens')!
  const configuration = configurationsFor(settings.recipe, module, 'fast').find(c => c.id === id)!
  const matrix = { module, configuration, bytes: 0 }
  const hessian = correlatedHessian(module.shape[1], 1)

  const stored = async (most: number) => {
    const checkpoint = await temporaryCheckpoint()
    const allocation = { matrices: [matrix], bytes: 0, bitsPerWeight: 0, predicted: 0 }
    const matrices = await quantisedMatrices(checkpoint, allocation, builtInRegistry(), {})
    await quantiseVocabulary(
      {
        ...{ model, allocation, checkpoint, matrices, settings, importance: undefined },
        ...{
          scratch: memoryScratch,
          memory: { most: 2e9, opensAhead: true, threads: 1 },
          decoders: sharedDecoders(model, settings),
        },
        sequences: {
          calibration: [],
          validation: [],
          length: 0,
          source: '',
          text: new Int32Array(),
          random: false,
        },
        encoder: {
          ...encoder,
          encode(job: EncodeJob) {
            held.push(job.w.data.length)
            return encoder.encode(job)
          },
        },
      },
      matrix,
      { hessian },
      most,
    )
    const found = { encoded: await matrices.encoded(module.name), report: matrices.reports.get(module.name)! }
    await checkpoint.close()
    return found
  }
  const whole = await stored(Number.POSITIVE_INFINITY)
  held.length = 0
  const most = 300 * module.shape[1]
  const banded = await stored(most)
  expect(Math.max(...held) <= most).toBe(inBands)
  expect(partsOf(banded.encoded)).toEqual(partsOf(whole.encoded))
  expect(banded.encoded.params).toEqual(whole.encoded.params)
  for (const error of ['error', 'plainError'] as const)
    expect(banded.report[error] / whole.report[error]).toBeCloseTo(1, 4)
  expect(banded.report.errorWithoutFeedback).toBeGreaterThan(banded.report.error)
  await model.close()
})
