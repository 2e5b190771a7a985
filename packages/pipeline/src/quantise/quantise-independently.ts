import { throwIfAborted } from '@reallm/tensor-io'
import { loadBlock, sublayers, tf } from '@reallm/transformer'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { runSublayer } from '../calibrate/forward.ts'
import { batchesOf, embeddingRows, embedSequences } from '../calibrate/hidden-states.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { gatherHead, gatherHessians } from './gather-hessians.ts'
import { tiedStatistics } from './head-statistics.ts'
import type { QuantiseContext } from './quantise-context.ts'
import { quantiseMatrix } from './quantise-matrix.ts'
import { quantiseVocabulary } from './quantise-vocabulary.ts'

/** Matrices that wait or are encoded at a time, for each worker: their Hessians are in memory. */
const matricesPerWorker = 2

/**
 * Stores the open matrices on statistics of the original model: one forward pass of the original, and every matrix a job
 * that waits for no other.
 */
export async function quantiseIndependently(
  context: QuantiseContext,
  open: readonly AllocatedMatrix[],
): Promise<void> {
  const { model, sequences, scratch, settings } = context
  const { config, weights: source } = model
  const jobs = jobList(matricesPerWorker * context.encoder.threads)
  const store = (matrix: AllocatedMatrix, found: RoundingStatistics) => {
    const inLayer = matrix.module.layer !== undefined
    return jobs.add(() => (inLayer ? quantiseMatrix : quantiseVocabulary)(context, matrix, found))
  }

  try {
    for (const matrix of open.filter(m => m.module.kind === 'embed_tokens'))
      await store(matrix, matrix.module.tied ? await tiedStatistics(context) : {})
    const rows = await embeddingRows(source, sequences.calibration)
    const pass = await embedSequences(source, rows, batchesOf(sequences.calibration), scratch)
    for (let i = 0; i < config.layers; i++) {
      const weights = await loadBlock(source, i)
      for (const sublayer of sublayers(config, i)) {
        for (const group of sublayer.groups) {
          const members = open.filter(m => group.includes(m.module.name))
          if (members.length === 0) continue
          const found = await gatherHessians(context, weights, pass, { sublayer, group: group[0] })
          for (const matrix of members) await store(matrix, found)
        }
        await pass.advance(x => {
          throwIfAborted(settings.signal)
          return runSublayer(config, weights, sublayer, x)
        })
      }
      tf.dispose(weights)
    }
    for (const matrix of open.filter(m => m.module.kind === 'lm_head'))
      await store(matrix, await gatherHead(context, pass))
    await pass.close()
  } finally {
    await jobs.settled()
  }
  jobs.throwFailure()
}

/** Runs at most `most` jobs at a time. */
function jobList(most: number) {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  const throwFailure = () => {
    if (failures.length > 0) throw failures[0]
  }
  return {
    /** Starts a job as soon as there is room; throws what an earlier one has thrown. */
    async add(start: () => Promise<unknown>): Promise<void> {
      while (running.size >= most) await Promise.race(running)
      throwFailure()
      const job: Promise<void> = start()
        .then(() => {})
        .catch(error => void failures.push(error))
        .finally(() => running.delete(job))
      running.add(job)
    },
    /** Waits for the rest, whatever becomes of them. */
    settled: () => Promise.all(running),
    /** Throws what the first job that failed has thrown. */
    throwFailure,
  }
}
