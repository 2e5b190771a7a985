import { type Matrix, seedFor } from '@reallm/tensor-io'
import { rm } from '#platform'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { statistics } from '../calibrate/statistics.ts'
import type { EncodeJob } from '../encoder/encode-job.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { keptStatistics } from '../recipes/recipe.ts'
import type { QuantiseContext } from './quantise-context.ts'
import { readSharedMatrix } from './read-shared-matrix.ts'

/** Stores one matrix and returns what it decodes to. */
export async function quantiseMatrix(
  context: QuantiseContext,
  matrix: AllocatedMatrix,
  found: RoundingStatistics,
): Promise<Matrix> {
  const { model, encoder, checkpoint, matrices } = context
  const { name } = matrix.module
  const training = matrix.configuration.trials && (await checkpoint.folder(`training/${name}`))
  const [result] = await encoder.encode({
    ...(await jobOf(context, matrix, found)),
    w: await readSharedMatrix(model.weights, `${name}.weight`),
    checkpoints: training,
  })
  await matrices.add(matrix, result)
  if (training) await rm(training, { recursive: true })
  return result.decoded
}

/** How one matrix is encoded, without its weights. */
export async function jobOf(
  { decoders, checkpoint, settings }: QuantiseContext,
  { module, configuration }: AllocatedMatrix,
  found: RoundingStatistics,
): Promise<Omit<EncodeJob, 'w'>> {
  const { recipe, effort } = settings
  const keep = keptStatistics(recipe, effort)
  // Embedding and head are rotated by columns only, and their outputs are too many for a covariance.
  const inLayer = module.layer !== undefined
  return {
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
    seed: seedFor(settings.seed, module.group ?? module.name),
    // Networks know no feedback.
    compareFeedback:
      recipe.quantise.kind === 'perMatrix' &&
      recipe.quantise.errorFeedback &&
      configuration.trials === undefined,
  }
}
