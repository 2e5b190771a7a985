import { type LongWork, type ModelFiles, ReallmError } from '@reallm/tensor-io'
import {
  type ActiveBackend,
  type BackendName,
  type ModelWeights,
  openWeights,
  useBackend,
} from '@reallm/transformer'
import { queues } from '#platform'
import { type PlanTable, planTable, predictedDamage } from './allocate/allocate-bits.ts'
import { calibrationWindows } from './calibrate/calibration-text.ts'
import type { Windows } from './calibrate/sequences.ts'
import { type EncodePool, encodePool } from './encoder/encoder.ts'
import { type SharedFits, sharedFits } from './encoder/shared-decoders.ts'
import { type ModelParts, partsOfModel } from './open/model-parts.ts'
import { type Scan, scanModel } from './open/scan-weights.ts'
import { isSurveyed, type Recipe } from './recipes/recipe.ts'
import { recipes } from './recipes/recipes.ts'
import { builtInRegistry } from './recipes/registry.ts'
import { measuredSurvey } from './sensitivity/measure.ts'
import { type RecipeOptions, type Settings, settingsOf } from './settings.ts'

export interface SessionOptions extends RecipeOptions, LongWork {
  /** Worker threads; default one per core, 0 for none. */
  readonly threads?: number
  /** Matrices go to machines that run `serveQueue` on this Redis, through a directory that all of them see. */
  readonly queue?: { readonly url: string; readonly shared: string }
  readonly backend?: BackendName
}

/** A model opened and read once, with everything that planning and encoding it need. */
export interface Session extends Settings {
  readonly model: ModelWeights
  readonly parts: ModelParts
  readonly scan: Scan
  readonly backend: ActiveBackend
  readonly windows: Windows
  readonly pool: EncodePool
  readonly shared: SharedFits
  /** Sizes of all choices, with damages predicted without measuring. */
  predicted(): PlanTable
  /**
   * The same with measured damages, where recipe and effort ask for that.
   *
   * @param outputs directory for what is kept of gradients
   */
  measured(outputs?: string): Promise<PlanTable>
}

/**
 * Opens a model, checks its weights, and runs `work`; closes everything afterwards.
 *
 * @param early runs before anything long: refusals that need no calibration belong there
 */
export async function withSession<T>(
  spec: string | ModelFiles,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
  early: (table: PlanTable) => void = () => {},
): Promise<T> {
  const settings = settingsOf(options)
  const { recipe, effort, seed, scope } = settings
  const { signal, onProgress } = options
  const model = await openWeights(spec, { registry: builtInRegistry() })
  let pool: EncodePool | undefined
  try {
    const parts = partsOfModel(model.config, scope)
    const scan = await scanModel(model, parts, options)
    const predicted = () => planTable(parts, recipe, effort, scan.plain, predictedDamage(model.config.layers))
    early(predicted())
    const backend = await useBackend(options.backend)
    const windows = await calibrationWindows(model, options.calibration, effort, seed, recipe.trained)
    const opened = (pool = await openPool(recipe, options))
    const shared = sharedFits({
      ...{ model, recipe, effort, seed, matrices: parts.matrices },
      ...(signal && { signal }),
    })
    return await work({
      ...settings,
      ...{ model, parts, scan, backend, windows, predicted, shared, pool: opened },
      async measured(outputs) {
        if (!isSurveyed(recipe)) return predicted()
        const { matrices } = parts
        const options = {
          ...{ model, recipe, effort, seed, windows, matrices, shared, pool: opened },
          ...(signal && { signal }),
          ...(onProgress && { onProgress }),
        }
        const { damages, inputSensitivity } = await measuredSurvey(scan.digest, options, outputs)
        const table = planTable(parts, recipe, effort, scan.plain, module => damages[module.name])
        return { ...table, inputSensitivity }
      },
    })
  } finally {
    await pool?.close()
    await model.close()
  }
}

async function openPool(recipe: Recipe, { queue, threads, signal }: SessionOptions): Promise<EncodePool> {
  const builtIn = recipes.includes(recipe)
  if (queue === undefined) {
    return encodePool(recipe, builtIn, {
      ...(threads !== undefined && { threads }),
      ...(signal && { signal }),
    })
  }
  if (!builtIn || !queues) {
    throw new ReallmError('unsupported', `the recipe ${recipe.name} cannot go to other machines`, {
      hint: 'only built-in recipes can, from Node; leave the queue away',
    })
  }
  const { queuePool } = await queues()
  return queuePool({ ...queue, ...(signal && { signal }) })
}
