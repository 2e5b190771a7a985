import { activeBackend } from '@reallm/transformer'
import { cacheFolder, createHash, join } from '#platform'
import { calibrate } from '../calibrate/calibrate.ts'
import type { Importance } from '../calibrate/importance.ts'
import type { Sequences } from '../calibrate/sequences.ts'
import { statisticsFolder } from '../calibrate/statistics.ts'
import { restoreFromCache, storeInCache } from '../checkpoint/cache.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { isUnchanged } from '../open/is-unchanged.ts'
import type { MemoryPlan } from '../plan-memory.ts'
import { configurationsFor } from '../recipes/recipe.ts'
import type { ConfigurationErrorOptions } from './configuration-errors.ts'
import { statisticsFromImportance } from './from-importance.ts'
import { measureSensitivity, type Sensitivity, sensitivityKey } from './measure-sensitivity.ts'
import { predictSensitivity } from './predict-sensitivity.ts'

export interface MeasureOptions extends ConfigurationErrorOptions {
  readonly sequences: Sequences
  readonly checkpoint: Checkpoint
  readonly importance?: Importance | undefined
  readonly memory: Pick<MemoryPlan, 'most'>
}

/** A part of the memory, one over this, holds Hessians that are waited for while more is calibrated. */
const hessianShare = 16

/** Raised when the same input measures something else: older measurements are then not used. */
const methodVersion = 16

/**
 * Calibrates and measures the sensitivity of all configurations, or predicts it where the recipe says so. Statistics and
 * result are in the checkpoint afterwards, and in the user's cache, so that another budget for the same model, recipe and
 * text is free.
 */
export async function measure(options: MeasureOptions): Promise<Sensitivity> {
  const { model, sequences, importance, checkpoint, settings } = options
  if (settings.recipe.allocate !== 'measured') return predictSensitivity(model, settings)
  return checkpoint.once(sensitivityKey, async () => {
    const cached = join(cacheFolder(), `sensitivity-${fingerprint(options)}`)
    const kept = { folder: statisticsFolder, completedBy: sensitivityKey }
    const known = await restoreFromCache(cached, checkpoint, kept, settings)
    if (known) return known
    const layers = importance
      ? statisticsFromImportance(model, importance, settings)
      : calibrate(model, sequences, checkpoint, settings)
    const sensitivity = await measureSensitivity(layers, options, options.memory.most / hessianShare)
    // What was measured on a model that changed meanwhile is kept for nobody.
    if (await isUnchanged(model, settings))
      await storeInCache(cached, checkpoint, kept, sensitivity, settings)
    return sensitivity
  })
}

/** Digest of everything that measurements depend on. */
function fingerprint({ model, sequences, importance, settings }: MeasureOptions): string {
  const { recipe, effort, seed } = settings
  const about = [methodVersion, model.digest, recipe.name, effort, seed, activeBackend()?.name]
  const hash = createHash('sha256').update(JSON.stringify(about))
  if (importance) hash.update(importance.digest)
  else for (const ids of sequences.calibration) hash.update(ids)
  for (const module of model.parts.matrices) {
    hash.update(module.name)
    for (const { id } of configurationsFor(recipe, module, effort)) hash.update(id)
  }
  return hash.digest('hex').slice(0, 32)
}
