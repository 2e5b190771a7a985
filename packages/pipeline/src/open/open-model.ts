import type { ModelFiles } from '@reallm/tensor-io'
import {
  adapted,
  type ModelWeights,
  openWeights,
  readAdapter,
  type TransformerConfig,
} from '@reallm/transformer'
import { builtInRegistry } from '../recipes/registry.ts'
import type { Settings } from '../settings.ts'
import { type ModelParts, partsOfModel } from './model-parts.ts'
import { type ScannedWeights, scanWeights } from './scan-weights.ts'

/** A model whose weights were read and checked once. */
export interface OpenedModel extends Omit<ScannedWeights, 'matrices'> {
  /** As the user named it. */
  readonly spec: string
  readonly weights: ModelWeights
  readonly config: TransformerConfig
  readonly parts: ModelParts
  close(): Promise<void>
}

/**
 * Opens a model and checks all of its weights, before any long work.
 *
 * @param adapter merged into the weights
 * @throws what `openWeights` refuses; `numeric` for weights that are not finite
 */
export async function openModel(
  source: string | ModelFiles,
  settings: Settings,
  adapter?: string,
): Promise<OpenedModel> {
  const { signal, onProgress } = settings
  const opened = await openWeights(source, { registry: builtInRegistry(), signal, onProgress })
  try {
    const weights = adapter === undefined ? opened : adapted(opened, await readAdapter(adapter))
    const { config, files } = weights
    const parts = partsOfModel(config, settings.scope)
    const { matrices, ...scanned } = await scanWeights(weights, parts, settings)
    return {
      ...{ ...scanned, spec: files.spec, weights, config, parts: { ...parts, matrices } },
      close: () => weights.close(),
    }
  } catch (error) {
    await opened.close()
    throw error
  }
}
