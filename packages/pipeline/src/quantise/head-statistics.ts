import { loadBlock, tf } from '@reallm/transformer'
import { plusDiagonal } from '../calibrate/covariance.ts'
import { runLayer } from '../calibrate/forward.ts'
import { batchesOf, embeddingRows, embedSequences } from '../calibrate/hidden-states.ts'
import { inputSensitivityOf, statistics } from '../calibrate/statistics.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { keptStatistics } from '../recipes/recipe.ts'
import { gatherHead } from './gather-hessians.ts'
import type { QuantiseContext } from './quantise-context.ts'

/** What the errors of a tied embedding meet, at the head and where tokens are read. */
export async function tiedStatistics(context: QuantiseContext): Promise<RoundingStatistics> {
  const { checkpoint, settings } = context
  const known = keptStatistics(settings.recipe, settings.effort).outputGradients
    ? await checkpoint.get(statistics.headHessian)
    : undefined
  const hessian = known ?? (await originalHeadStatistics(context)).hessian!
  return { hessian: plusDiagonal(hessian, await inputSensitivityOf(checkpoint)) }
}

/**
 * The Hessian of the head's input in the original model: a tied embedding is stored before anything else is. Every third
 * sequence tells enough about its few columns.
 */
export async function originalHeadStatistics(context: QuantiseContext): Promise<RoundingStatistics> {
  const { model, scratch, settings } = context
  const all = context.sequences.calibration
  const chosen = all.filter((_, s) => s % 3 === 1 || all.length < 8)
  const rows = await embeddingRows(model.weights, chosen)
  const pass = await embedSequences(model.weights, rows, batchesOf(chosen), scratch)
  for (let i = 0; i < model.config.layers; i++) {
    const weights = await loadBlock(model.weights, i)
    await pass.advance(x => runLayer(model.config, weights, i, x))
    tf.dispose(weights)
    const { layers: total } = model.config
    settings.onProgress?.({ event: 'calibration-end', name: `layer ${i}`, done: i + 1, total })
  }
  const found = await gatherHead(context, pass)
  await pass.close()
  return found
}
