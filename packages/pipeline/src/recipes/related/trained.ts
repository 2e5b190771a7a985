import { type EndToEndSettings, lrQat, oneBit, onebit, type Tunable, tuneEndToEnd } from '@reallm/finetune'
import type { EncodedMatrix } from '@reallm/tensor-io'
import { loadTensors, tf, type Weights } from '@reallm/transformer'
import { type GridParams, grid, integerParams, storeIntegers } from '@reallm/vq'
import { configuration } from '../configuration.ts'
import { embeddingGrids } from '../configurations/scalar.ts'
import { type Effort, type JointJob, type Recipe, recipe } from '../recipe.ts'

const steps: Record<Effort, number> = { fast: 20, normal: 300, best: 2000 }

/** Recipes whose matrices come out of training: on KL divergence to the original, over the calibration text. */
export const trainedRecipes: readonly Recipe[] = [
  recipe({
    name: 'onebit',
    what: 'signs and two vectors for each matrix, distilled from the original',
    source: 'OneBit arXiv 2402.11295',
    layers: () => [configuration({ id: 'onebit', label: '1 bit', codec: onebit, params: {} })],
    embeddings: embeddingGrids,
    allocate: 'measured',
    objective: { kind: 'outputs' },
    quantise: { kind: 'joint', trains: true, run: runOneBit },
  }),
  recipe({
    name: 'lr-qat',
    what: 'low-rank weights trained inside the rounding, merged into the integers',
    source: 'LR-QAT arXiv 2406.06385',
    layers: () =>
      [2, 3, 4, 5, 6, 8].map(bits =>
        configuration({
          id: `integers-${bits}b`,
          label: `integers of ${bits} bits`,
          codec: grid,
          params: integerParams(bits),
          family: 'integers',
        }),
      ),
    embeddings: embeddingGrids,
    allocate: 'measured',
    objective: { kind: 'outputs' },
    quantise: { kind: 'joint', trains: true, run: runLrQat },
  }),
]

async function runOneBit(job: JointJob): Promise<Map<string, EncodedMatrix>> {
  const parts = await oneBit(job.model)
  try {
    await distil(job, parts, { learningRate: 5e-3, hiddenWeight: 1 })
    return await parts.encoded()
  } finally {
    parts.dispose()
  }
}

async function runLrQat(job: JointJob): Promise<Map<string, EncodedMatrix>> {
  const bitsOf = (module: string) => (job.configurations.get(module)!.params as GridParams).bits
  const parts = await lrQat(job.model, {
    bits: bitsOf,
    rank: 8,
    alpha: 64,
    downcast: 'fixed8',
    seed: job.seed,
  })
  try {
    await distil(job, parts, { learningRate: 1e-3 })
    return integers(parts.merge(), bitsOf)
  } finally {
    parts.dispose()
  }
}

function integers(
  merged: ReturnType<Awaited<ReturnType<typeof lrQat>>['merge']>,
  bitsOf: (module: string) => number,
): Map<string, EncodedMatrix> {
  return new Map([...merged].map(([name, m]) => [name, storeIntegers(m, bitsOf(name))]))
}

/** Trains parts that replace the layers' matrices, behind the embedding as it is stored. */
async function distil(
  job: JointJob,
  parts: Tunable,
  settings: Pick<EndToEndSettings, 'learningRate' | 'hiddenWeight'>,
): Promise<void> {
  const { model, sequences, effort, seed, work, signal, onProgress } = job
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
      sequences: {
        train: sequences.calibration.map(ids => ({ ids })),
        validation: sequences.validation.slice(0, 4).map(ids => ({ ids })),
      },
      ...settings,
      gradientCheckpointing: true,
      signal,
      onProgress,
    })
  } finally {
    tf.dispose(base)
  }
}

/** Norms, and embedding and head as they are stored. */
async function unchanged({ model, configurations, embeddings }: JointJob): Promise<Weights> {
  const isEncoded = (name: string) =>
    [configurations, embeddings].some(map => map.has(name.replace(/\.weight$/, '')))
  const weights = {
    ...(await loadTensors(
      model,
      model.names.filter(name => !isEncoded(name)),
    )),
  }
  for (const [name, { data, rows, cols }] of embeddings)
    weights[`${name}.weight`] = tf.tensor2d(data, [rows, cols])
  return weights
}
