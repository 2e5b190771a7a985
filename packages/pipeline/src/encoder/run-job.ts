import { fileStore } from '@reallm/tensor-io'
import { join } from '#platform'
import type { Recipe } from '../recipes/recipe.ts'
import { configurationOf, type EncodeJob } from './encode-job.ts'
import { type EncodeResult, encodeMatrix } from './encode-matrix.ts'

/** Encodes one job in this thread. */
export async function runJob(recipe: Recipe, job: EncodeJob, signal?: AbortSignal): Promise<EncodeResult[]> {
  const { module, w, seed, compareFeedback, isBand, checkpoints } = job
  const results: EncodeResult[] = []
  for (const each of job.configurations) {
    const configuration = configurationOf(recipe, job, each)
    const options = {
      seed,
      compareFeedback,
      isBand,
      signal,
      ...(checkpoints && {
        checkpoint: (name: string) => fileStore(join(checkpoints, `${name}.safetensors`)),
      }),
    }
    results.push(await encodeMatrix(module.name, w, configuration, job, options))
  }
  return results
}
