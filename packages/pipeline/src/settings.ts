import { ReallmError } from '@reallm/tensor-io'
import type { Budget } from './allocate/allocate-bits.ts'
import type { Scope } from './open/model-parts.ts'
import { type Effort, efforts, type Recipe } from './recipes/recipe.ts'
import { builtInRecipe } from './recipes/recipes.ts'

/** How to compress, wherever it is asked. */
export interface RecipeOptions {
  /** A built-in recipe by name (`recipes` lists them; default `reallm`), or one of your own. */
  readonly recipe?: string | Recipe
  readonly effort?: Effort
  /** Text file to calibrate on, or JSON rows of token ids; default: a built-in English text. */
  readonly calibration?: string
  readonly seed?: number
  /** What to encode; `blocks` leaves embedding and head as they are, and counts bits without them. Default `all`. */
  readonly scope?: Scope
}

/** How large the result may be: one of the two. */
export interface BudgetOptions {
  /** Average bits over every stored weight: embeddings, head, norms and file headers included (see `scope`). */
  readonly bits?: number
  /** Sum of the weight files, in bytes. */
  readonly targetSize?: number
}

export interface Settings {
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
  readonly scope: Scope
}

/** Options with their defaults; throws `bad-option` for a recipe or effort that isn't there. */
export function settingsOf(options: RecipeOptions): Settings {
  const { recipe = 'reallm', effort = 'normal', seed = 0, scope = 'all' } = options
  if (!efforts.includes(effort)) {
    throw new ReallmError('bad-option', `unknown effort ${effort}`, { hint: `known: ${efforts.join(', ')}` })
  }
  return { recipe: typeof recipe === 'string' ? builtInRecipe(recipe) : recipe, effort, seed, scope }
}

/** The budget asked for; throws `bad-option` unless it is one, and possible at all. */
export function budgetOf({ bits, targetSize }: BudgetOptions): Budget {
  if ((bits === undefined) === (targetSize === undefined)) {
    throw new ReallmError('bad-option', 'give either bits per weight or a target size', {
      hint: 'for example -b 3, or --target-size 45MB',
    })
  }
  if (bits !== undefined && !(bits > 0 && bits <= 16)) {
    throw new ReallmError('bad-option', `${bits} bits per weight: it must be over 0 and at most 16`)
  }
  return bits !== undefined ? { bits } : { bytes: targetSize! }
}
