import { type LongWork, ReallmError } from '@reallm/tensor-io'
import type { Scope } from './open/model-parts.ts'
import { type TargetName, targetNames } from './output/target-name.ts'
import { type Effort, efforts, type Recipe } from './recipes/recipe.ts'
import { builtInRecipe } from './recipes/recipes.ts'
import { checkTuneBudget, type TuneBudget } from './tune/tune-budget.ts'

/** How to compress, wherever it is asked. */
export interface RecipeOptions extends LongWork {
  /** What to write: an artifact (default `reallm`), a GGUF file for llama.cpp, or ONNX for transformers.js. */
  readonly target?: TargetName | undefined
  /** A built-in recipe by name (`recipes` lists them; by default the target's name), or one of your own. */
  readonly recipe?: string | Recipe | undefined
  readonly effort?: Effort | undefined
  readonly seed?: number | undefined
  /** What to encode; `blocks` leaves embedding and head as they are, and counts bits without them. Default `all`. */
  readonly scope?: Scope | undefined
  /**
   * Round each matrix behind everything that is quantised already (default), or, when false, all of them on the original
   * model's statistics: independent jobs that keep any number of workers busy, without the asymmetric correction.
   */
  readonly sequential?: boolean | undefined
  /**
   * After rounding, train a factor on each row of the layers' matrices, and norms, on the original's predictions for the
   * calibration text. What it stores is part of the size asked for. Targets other than `reallm` have no place for it.
   */
  readonly tune?: TuneBudget | undefined
}

/** Options with their defaults. */
export interface Settings extends LongWork {
  readonly target: TargetName
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
  readonly scope: Scope
  readonly sequential: boolean
  readonly tune: TuneBudget | undefined
}

/** Throws `bad-option` for a recipe or effort that isn't there. */
export function settingsOf(options: RecipeOptions): Settings {
  const {
    target = 'reallm',
    recipe = target,
    effort = 'normal',
    seed = 0,
    scope = 'all',
    sequential = true,
    tune,
  } = options
  const { signal, onProgress } = options
  if (!efforts.includes(effort)) {
    throw new ReallmError('bad-option', `unknown effort ${effort}`, { hint: `known: ${efforts.join(', ')}` })
  }
  if (!targetNames.includes(target)) {
    throw new ReallmError('bad-option', `unknown target ${target}`, {
      hint: `known: ${targetNames.join(', ')}`,
    })
  }
  const found = typeof recipe === 'string' ? builtInRecipe(recipe) : recipe
  const { target: made = 'reallm' } = found
  if (made !== target) {
    throw new ReallmError(
      'bad-option',
      `the recipe ${found.name} stores what the target ${target} cannot hold`,
      {
        hint: `use --target ${made}, or leave the recipe away`,
      },
    )
  }
  if (tune) checkTune(tune, target, found)
  return { target, recipe: found, effort, seed, scope, sequential, tune, signal, onProgress }
}

function checkTune(tune: TuneBudget, target: TargetName, { name, quantise }: Recipe): void {
  checkTuneBudget(tune)
  if (target !== 'reallm') {
    throw new ReallmError('bad-option', `the target ${target} has no place for what --tune trains`, {
      hint: 'leave --tune away, or write an artifact',
    })
  }
  if (quantise.kind === 'joint') {
    throw new ReallmError('bad-option', `the recipe ${name} trains its matrices itself`, {
      hint: 'leave --tune away, or choose another recipe',
    })
  }
}
