import { type Matrix, seedFor } from '@reallm/tensor-io'
import { rm } from '#platform'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { statistics } from '../calibrate/statistics.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { readMatrix } from '../open/read-matrix.ts'
import { keptStatistics } from '../recipes/recipe.ts'
import type { QuantiseContext } from './quantise-context.ts'

/** Stores one matrix and returns what it decodes to; reads its weights unless given. */
export async function quantiseMatrix(
  { model, encoder, decoders, checkpoint, settings, matrices }: QuantiseContext,
  matrix: AllocatedMatrix,
  found: RoundingStatistics,
  weights?: Matrix,
): Promise<Matrix> {
  const { module, configuration } = matrix
  const { recipe, effort } = settings
  const keep = keptStatistics(recipe, effort)
  // Embedding and head are rotated by columns only, and their outputs are too many for a covariance.
  const inLayer = module.layer !== undefined
  const trains = configuration.trials !== undefined
  const training = trains ? await checkpoint.folder(`training/${module.name}`) : undefined
  const [result] = await encoder.encode({
    ...found,
    outputGradients:
      inLayer && keep.outputGradients
        ? await checkpoint.get(statistics.outputGradients(module.name))
        : undefined,
    fisher: inLayer && keep.fisher ? await checkpoint.get(statistics.fisher(module.name)) : undefined,
    recipe: recipe.name,
    module,
    effort,
    configurations: [{ id: configuration.id, shared: await decoders.of(module, configuration) }],
    w: weights ?? (await readMatrix(model.weights, `${module.name}.weight`)),
    seed: seedFor(settings.seed, module.group ?? module.name),
    // Networks know no feedback.
    compareFeedback: recipe.quantise.kind === 'perMatrix' && recipe.quantise.errorFeedback && !trains,
    checkpoints: training,
  })
  await matrices.add(matrix, result)
  if (training) await rm(training, { recursive: true })
  return result.decoded
}
