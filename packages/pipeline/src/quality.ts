import { perplexity } from '@reallm/eval'
import { type LongWork, openModel, type Registry } from '@reallm/tensor-io'
import { type ModelWeights, openWeights, streamed } from '@reallm/transformer'
import type { CompressReport } from './report.ts'
import type { Windows } from './windows.ts'

/** Perplexity of original and artifact on the windows held out, and how far apart their predictions are. */
export async function measureQuality(
  original: ModelWeights,
  artifact: string,
  registry: Registry,
  windows: Windows,
  work: LongWork,
): Promise<NonNullable<CompressReport['quality']>> {
  const rows = windows.heldOut.map(ids => [...ids])
  const compressed = await openWeights(await openModel(artifact, { registry }))
  try {
    const before = await perplexity(streamed(original), rows, work)
    const after = await perplexity(streamed(compressed), rows, { ...work, against: streamed(original) })
    return {
      protocol: `${rows.length} windows of ${windows.length} tokens that were held out from ${windows.source}, all positions after the first scored`,
      original: { perplexity: before.perplexity, loss: before.loss, kl: 0, top1: 1 },
      compressed: { perplexity: after.perplexity, loss: after.loss, kl: after.kl!, top1: after.top1! },
    }
  } finally {
    await compressed.close()
  }
}
