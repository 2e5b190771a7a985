import { type EndToEndSettings, lrQat, oneBit, onebit, type Tunable, tuneEndToEnd } from '@reallm/finetune'
import type { EncodedMatrix } from '@reallm/tensor-io'
import { loadTensors, tf, type Weights } from '@reallm/transformer'
import { type GridParams, grid, integerParams, storeIntegers } from '@reallm/vq'
import { type BlocksJob, choice, type Effort, type Recipe, recipe } from '../recipe.ts'
import { gridRows } from './grid-rows.ts'

const steps: Record<Effort, number> = { fast: 20, normal: 300, best: 2000 }

/** Recipes whose matrices come out of training: on KL divergence to the original, over the calibration text. */
export const trainedRecipes: readonly Recipe[] = [
  recipe('onebit', {
    what: 'signs and two vectors for each matrix, distilled from the original',
    source: 'OneBit arXiv 2402.11295',
    calibrated: true,
    trained: true,
    block: () => [choice('1 bit', onebit, {})],
    embedding: gridRows,
    together: async job => {
      const parts = await oneBit(job.model)
      try {
        await distil(job, parts, { learningRate: 5e-3, hiddenWeight: 1 })
        return await parts.encoded()
      } finally {
        parts.dispose()
      }
    },
  }),
  recipe('lr-qat', {
    what: 'low-rank weights trained inside the rounding, merged into the integers',
    source: 'LR-QAT arXiv 2406.06385',
    calibrated: true,
    trained: true,
    block: () =>
      [2, 3, 4, 5, 6, 8].map(bits =>
        choice(`integers of ${bits} bits`, grid, integerParams(bits), 'integers'),
      ),
    embedding: gridRows,
    together: async job => {
      const bitsOf = (module: string) => (job.choices.get(module)!.params as GridParams).bits
      const options = { bits: bitsOf, rank: 8, alpha: 64, downcast: 'fixed8', seed: job.seed } as const
      const parts = await lrQat(job.model, options)
      try {
        await distil(job, parts, { learningRate: 1e-3 })
        return integers(parts.merge(), bitsOf)
      } finally {
        parts.dispose()
      }
    },
  }),
]

function integers(
  merged: ReturnType<Awaited<ReturnType<typeof lrQat>>['merge']>,
  bitsOf: (module: string) => number,
): Map<string, EncodedMatrix> {
  return new Map([...merged].map(([name, m]) => [name, storeIntegers(m, bitsOf(name))]))
}

/** Trains parts that take the place of the blocks' matrices, behind the embedding as it is stored. */
async function distil(
  job: BlocksJob,
  parts: Tunable,
  settings: Pick<EndToEndSettings, 'learningRate' | 'hiddenWeight'>,
): Promise<void> {
  const { model, windows, effort, seed, work, signal, onProgress } = job
  const base = await unchanged(job)
  try {
    await tuneEndToEnd({
      ...{
        config: model.config,
        base,
        parts,
        teacher: model,
        steps: steps[effort],
        seed,
        work,
      },
      windows: {
        train: windows.fit.map(ids => ({ ids })),
        validation: windows.heldOut.slice(0, 4).map(ids => ({ ids })),
      },
      ...settings,
      gradientCheckpointing: true,
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    })
  } finally {
    tf.dispose(base)
  }
}

/** Norms, and embedding and head as they are stored. */
async function unchanged({ model, choices, outer }: BlocksJob): Promise<Weights> {
  const isEncoded = (name: string) => [choices, outer].some(map => map.has(name.replace(/\.weight$/, '')))
  const weights = {
    ...(await loadTensors(
      model,
      model.names.filter(name => !isEncoded(name)),
    )),
  }
  for (const [name, { data, rows, cols }] of outer)
    weights[`${name}.weight`] = tf.tensor2d(data, [rows, cols])
  return weights
}
