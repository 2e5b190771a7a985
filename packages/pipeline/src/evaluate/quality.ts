import { perplexity } from '@reallm/eval'
import type { LongWork } from '@reallm/tensor-io'
import { counted } from '@reallm/tensor-io'
import type { WeightSource } from '@reallm/transformer'
import type { Sequences } from '../calibrate/sequences.ts'
import type { CompressReport } from '../output/report.ts'

/** Perplexity of original and compressed model on the validation sequences, and how far apart their predictions are. */
export async function measureQuality(
  original: WeightSource,
  compressed: WeightSource,
  sequences: Sequences,
  work: LongWork,
): Promise<NonNullable<CompressReport['quality']>> {
  const rows = sequences.validation.map(ids => [...ids])
  const found = await perplexity(compressed, rows, { ...work, against: original })
  const loss = found.otherLoss!
  return {
    protocol: `${counted(rows.length, 'validation sequence')} of ${sequences.length} tokens from ${sequences.source}, all positions after the first scored`,
    random: sequences.random,
    original: { perplexity: Math.exp(loss), loss, kl: 0, top1: 1 },
    compressed: { perplexity: found.perplexity, loss: found.loss, kl: found.kl!, top1: found.top1! },
  }
}
