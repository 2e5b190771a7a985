import type { Settings } from '../settings.ts'
import type { OpenedModel } from './open-model.ts'
import { scanWeights } from './scan-weights.ts'

/** Whether a model's weights still are what they were when it was opened; reads all of them once more. */
export async function isUnchanged(model: OpenedModel, settings: Settings): Promise<boolean> {
  const { digest } = await scanWeights(model.weights, model.parts, settings)
  return digest === model.digest
}
