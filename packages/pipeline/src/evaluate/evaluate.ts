import { type LongWork, openModel, sizeOf } from '@reallm/tensor-io'
import { inMemory, loadWeights, openWeights, streamed, tf } from '@reallm/transformer'
import type { Sequences } from '../calibrate/sequences.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import type { CompressReport } from '../output/report.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { compareGeneration, continuations } from './generation.ts'
import { measureQuality } from './quality.ts'

/** What an evaluation finds; text is only written where all weights of one model can be loaded (`fitsWhole`). */
export type Evaluation = Pick<CompressReport, 'quality' | 'generation'>

/**
 * Reads what was written back, and measures how far its predictions and the text that it writes are from the original's.
 *
 * @param maxMemory bytes
 */
export async function evaluate(
  original: OpenedModel,
  path: string,
  sequences: Sequences,
  maxMemory: number,
  work: LongWork,
): Promise<Evaluation> {
  const compressed = await openWeights(await openModel(path, { registry: builtInRegistry() }))
  try {
    const reference = streamed(original.weights)
    if (!fitsWhole(original, maxMemory))
      return { quality: await measureQuality(reference, streamed(compressed), sequences, work) }
    const { config } = compressed
    const weights = await loadWeights(compressed)
    const found = await disposing(weights, async () => ({
      quality: await measureQuality(reference, inMemory(config, weights), sequences, work),
      got: await continuations(config, weights, sequences, work),
    }))
    const originals = await loadWeights(original.weights)
    const wanted = await disposing(originals, () =>
      continuations(original.config, originals, sequences, work),
    )
    const tokenizer = await tokenizerOf(original.weights)
    return { quality: found.quality, generation: compareGeneration(wanted, found.got, sequences, tokenizer) }
  } finally {
    await compressed.close()
  }
}

/** Whether all weights of a model take at most half of the memory in float32, its largest tensor twice while it is loaded. */
function fitsWhole({ weights, parts }: OpenedModel, maxMemory: number): boolean {
  const largest = Math.max(...[...weights.shapes.values()].map(sizeOf))
  return 4 * (parts.parameters + largest) <= maxMemory / 2
}

async function disposing<T>(weights: Parameters<typeof tf.dispose>[0], use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    tf.dispose(weights)
  }
}
