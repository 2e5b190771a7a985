import { outputError } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'
import { readMatrix } from '../open/read-matrix.ts'
import { type Joint, needsHessians } from '../recipes/recipe.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { originalHeadStatistics, tiedStatistics } from './head-statistics.ts'
import type { QuantiseContext } from './quantise-context.ts'
import { quantiseMatrix } from './quantise-matrix.ts'

/** Stores embedding and head one by one, then the matrices of all layers at once. */
export async function quantiseJointly(context: QuantiseContext, { run }: Joint): Promise<void> {
  const { model, allocation, matrices, sequences, checkpoint, settings } = context
  const { effort, seed, signal, onProgress } = settings
  const embeddings = new Map<string, Matrix>()
  for (const matrix of allocation.matrices.filter(m => m.module.layer === undefined)) {
    const { name, kind, tied } = matrix.module
    const found = async () => {
      if (!needsHessians(settings.recipe) || !(tied || kind === 'lm_head')) return {}
      return tied ? tiedStatistics(context) : originalHeadStatistics(context)
    }
    const known = await matrices.decoded(name)
    embeddings.set(name, known ?? (await quantiseMatrix(context, matrix, await found())))
  }
  const inLayers = allocation.matrices.filter(m => m.module.layer !== undefined)
  const started = performance.now()
  const stored = await run({
    model: model.weights,
    configurations: new Map(inLayers.map(m => [m.module.name, m.configuration])),
    embeddings,
    sequences,
    effort,
    seed,
    work: await checkpoint.folder('joint'),
    signal,
    onProgress,
  })
  const seconds = (performance.now() - started) / 1000 / inLayers.length
  for (const matrix of inLayers) {
    const encoded = stored.get(matrix.module.name)!
    const decoded = builtInRegistry().decode(encoded)
    const error = outputError(await readMatrix(model.weights, `${matrix.module.name}.weight`), decoded)
    await matrices.add(matrix, { encoded, error, plainError: error, seconds })
  }
}
