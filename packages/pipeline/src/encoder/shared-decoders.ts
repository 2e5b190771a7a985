import { type LongWork, seedFor } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { readMatrix } from '../calibrate/hidden-states.ts'
import {
  choicesFor,
  type Effort,
  type MatrixModule,
  type Recipe,
  type SharedFit,
  type SharedTensors,
} from '../recipes/recipe.ts'
import { adjacentRows } from './row-sample.ts'

/** What a choice shares with its group, fitted when it is asked for first; undefined where it shares nothing. */
export type SharedFits = (
  module: MatrixModule,
  choice: number,
  trial?: number,
) => Promise<SharedTensors | undefined>

export interface SharedFitsOptions extends LongWork {
  readonly model: ModelWeights
  readonly matrices: readonly MatrixModule[]
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
}

/** Rows that a fit sees in all, spread evenly over the group, in whole tiles. */
const groupRows = 512
const tileRows = 16

/**
 * Fits decoders to groups of like matrices: those of a kind, in all blocks, by choices of one label. What is fitted depends
 * on the weights, the recipe and the seed only, so that a run that goes on finds the same.
 */
export function sharedFits({
  model,
  matrices,
  recipe,
  effort,
  seed,
  ...work
}: SharedFitsOptions): SharedFits {
  const fits = new Map<string, Promise<SharedTensors>>()
  const fit = async (module: MatrixModule, shared: SharedFit, key: string): Promise<SharedTensors> => {
    const members = matrices.filter(m => m.kind === module.kind)
    const rows = tileRows * Math.ceil(groupRows / members.length / tileRows)
    const group = []
    for (const { name } of members) group.push(adjacentRows(await readMatrix(model, `${name}.weight`), rows))
    return shared.fit(group, { ...work, seed: seedFor(seed, key) })
  }
  return async (module, index, trial) => {
    const whole = choicesFor(recipe, module, effort)[index]
    const { label, shared } = trial === undefined ? whole : whole.trials![trial]
    if (!shared) return undefined
    const key = `${sharingKey(module, label)}${trial === undefined ? '' : `, trial ${trial}`}`
    const found = fits.get(key) ?? fit(module, shared, key)
    fits.set(key, found)
    return found
  }
}

/** Matrices whose choices have the same key store the same shared tensors. */
export const sharingKey = ({ kind }: MatrixModule, label: string): string => `${kind} ${label}`
