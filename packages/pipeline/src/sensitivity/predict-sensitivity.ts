import { bitsOf } from '@reallm/tensor-io'
import type { OpenedModel } from '../open/open-model.ts'
import { configurationsFor } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'
import type { Sensitivity } from './measure-sensitivity.ts'

/**
 * Sensitivity without looking at the weights: the rate-distortion limit of a Gaussian, `4^−rate` for each weight, all
 * matrices alike. It has no unit.
 */
export function predictSensitivity({ parts }: OpenedModel, { recipe, effort }: Settings): Sensitivity {
  const found: Record<string, Readonly<Record<string, number>>> = {}
  for (const module of parts.matrices) {
    const elements = module.shape[0] * module.shape[1]
    found[module.name] = Object.fromEntries(
      configurationsFor(recipe, module, effort).map(({ id, cost }) => [
        id,
        elements * 4 ** (-bitsOf(cost(module.shape)) / elements),
      ]),
    )
  }
  return found
}
