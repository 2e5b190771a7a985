import type { Sublayer } from '@reallm/transformer'
import { layerTraining, needsHessians, type Recipe } from '../recipes/recipe.ts'

/**
 * Whether the matrices of a sublayer are freed when the inputs of its last one are gathered: nothing then runs them again, unless
 * the layer is trained.
 */
export const releasesWeights = ({ finish, last }: Sublayer, recipe: Recipe): boolean =>
  finish !== undefined && last !== undefined && needsHessians(recipe) && !layerTraining(recipe)
