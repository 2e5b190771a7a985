import { type LongWork, openModel, sizeOf } from '@reallm/tensor-io'
import {
  loadWeights,
  type ModelWeights,
  openWeights,
  streamed,
  tf,
  type WeightSource,
} from '@reallm/transformer'
import { collectGarbage } from '#platform'
import type { Sequences } from '../calibrate/sequences.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import type { CompressReport } from '../output/report.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { compareGeneration, continuations } from './generation.ts'
import { measureQuality } from './quality.ts'

/** What an evaluation finds; text is only written where all weights of one model can be loaded (`fitsWhole`). */
export type Evaluation = Pick<CompressReport, 'quality' | 'generation'>

/** Bytes of memory for each weight of a head that is held: both models' heads, logits and garbage beside them. */
const headShare = 128

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
    collectGarbage()
    const ofHead = maxMemory / headShare
    const [reference, own] = [original.weights, compressed].map(model => tidied(streamed(model, ofHead)))
    const quality = await measureQuality(reference, own, sequences, work)
    if (!fitsWhole(original, maxMemory)) return { quality }
    const [got, wanted] = [await written(compressed), await written(original.weights)]
    const tokenizer = await tokenizerOf(original.weights)
    return { quality, generation: compareGeneration(wanted, got, sequences, tokenizer) }
  } finally {
    await compressed.close()
  }

  async function written(model: ModelWeights): Promise<number[][]> {
    const weights = await loadWeights(model)
    try {
      return await continuations(model.config, weights, sequences, work)
    } finally {
      tf.dispose(weights)
      collectGarbage()
    }
  }
}

/** What a head is made of is as large as itself: it is not left to the garbage collector. */
const tidied = (source: WeightSource): WeightSource => ({
  ...source,
  withHead: use =>
    source.withHead(head => {
      collectGarbage()
      return use(head)
    }),
})

/** Whether all weights of a model take at most half of the memory in float32, its largest tensor twice while it is loaded. */
function fitsWhole({ weights, parts }: OpenedModel, maxMemory: number): boolean {
  const largest = Math.max(...[...weights.shapes.values()].map(sizeOf))
  return 4 * (parts.parameters + largest) <= maxMemory / 2
}
