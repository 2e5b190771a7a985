import { type LongWork, openModel, type Registry } from '@reallm/tensor-io'
import { inMemory, loadWeights, type ModelWeights, openWeights, streamed, tf } from '@reallm/transformer'
import type { Windows } from '../calibrate/sequences.ts'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import type { CompressReport } from '../output/report.ts'
import { compareGeneration, continuations } from './generation.ts'
import { measureQuality } from './quality.ts'

export interface CheckOptions extends LongWork {
  /** Whether all weights of one model, decoded, may be in memory; else no text is written. */
  readonly fits: boolean
}

/** Reads an artifact back, and measures how far its predictions and the text that it writes are from the original's. */
export async function checkArtifact(
  original: ModelWeights,
  folder: string,
  registry: Registry,
  windows: Windows,
  { fits, ...work }: CheckOptions,
): Promise<Pick<CompressReport, 'quality' | 'generation'>> {
  const compressed = await openWeights(await openModel(folder, { registry }))
  try {
    if (!fits)
      return { quality: await measureQuality(streamed(original), streamed(compressed), windows, work) }
    const { config } = compressed
    const weights = await loadWeights(compressed)
    const found = await disposing(weights, async () => ({
      quality: await measureQuality(streamed(original), inMemory(config, weights), windows, work),
      got: await continuations(config, weights, windows, work),
    }))
    const originals = await loadWeights(original)
    const wanted = await disposing(originals, () => continuations(original.config, originals, windows, work))
    const generation = compareGeneration(wanted, found.got, windows, await tokenizerOf(original))
    return { quality: found.quality, generation }
  } finally {
    await compressed.close()
  }
}

async function disposing<T>(weights: Parameters<typeof tf.dispose>[0], use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    tf.dispose(weights)
  }
}
