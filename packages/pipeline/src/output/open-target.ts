import type { OpenedModel } from '../open/open-model.ts'
import type { Settings } from '../settings.ts'
import { artifactTarget } from './artifact-target.ts'
import { ggufTarget } from './gguf-target.ts'
import { onnxTarget } from './onnx-target.ts'
import type { Target } from './target.ts'

/**
 * What a model will be written as.
 *
 * @param shardSize bytes of a file at most
 * @throws `unsupported` naming what the target cannot hold
 */
export async function openTarget(
  model: OpenedModel,
  settings: Settings,
  shardSize: number | undefined,
): Promise<Target> {
  if (settings.target === 'gguf') return ggufTarget(model, settings, shardSize ?? Number.POSITIVE_INFINITY)
  if (settings.target === 'onnx') return onnxTarget(model)
  return artifactTarget(model, shardSize ?? 2 ** 29)
}
