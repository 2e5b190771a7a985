import { largest, prunedCodec, storePruned } from '@reallm/lowrank'
import { type EncodedMatrix, throwIfAborted } from '@reallm/tensor-io'
import type { MatrixModule } from '../../open/model-parts.ts'
import { readMatrix } from '../../open/read-matrix.ts'
import { type Configuration, configuration } from '../configuration.ts'
import { type JointJob, type Recipe, recipe } from '../recipe.ts'
import { magnitudes, type Scores, taylor, unitsOf } from './unit-scores.ts'

const bits = 8

/** Layers at the start that stay whole: errors there pass through all others. */
const keptLayers = 2

/** Shares of the heads and channels that may be kept, from 4 %. */
const keptShares = Array.from({ length: 49 }, (_, i) => (i + 2) / 50)

/** Structured pruning of heads and channels, the same share in all layers after the first two; no training. */
export const pruneRecipes: readonly Recipe[] = [
  pruning('prune-magnitude', 'largest weights', magnitudes),
  pruning('prune-taylor', 'largest first-order effect on the loss', taylor),
]

const whole = configuration({ id: 'whole-8b', label: 'whole, 8 bits', codec: prunedCodec, params: { bits } })

function pruning(name: string, which: string, scores: Scores): Recipe {
  return recipe({
    name,
    what: `heads and channels with the ${which} are kept, the others left out: the baseline of llm-rom`,
    source: 'LLM-Pruner arXiv 2305.11627',
    layers: shares,
    embeddings: () => [whole],
    allocate: 'uniform',
    objective: { kind: 'weights' },
    quantise: { kind: 'joint', run: job => prune(job, scores) },
  })
}

/** Keys and values are shared by heads: they stay, as the first layers do. */
function shares({ kind, layer = 0, shape: [rows, cols], headDim }: MatrixModule): Configuration[] {
  if (layer < keptLayers || kind === 'k_proj' || kind === 'v_proj') return [whole]
  const byColumn = kind === 'o_proj' || kind === 'down_proj'
  const size = byColumn ? cols : rows
  const width = kind === 'q_proj' || kind === 'o_proj' ? headDim! : 1
  return keptShares.map(share => {
    const percent = Math.round(100 * share)
    const kept = width * Math.max(1, Math.round((share * size) / width))
    return configuration({
      id: `pruned-${percent}`,
      label: `${percent} % of heads and channels, 8 bits`,
      codec: prunedCodec,
      params: { [byColumn ? 'cols' : 'rows']: kept, bits },
      family: 'pruned',
    })
  })
}

async function prune(job: JointJob, scores: Scores): Promise<Map<string, EncodedMatrix>> {
  const { model, configurations } = job
  const scored = await scores(job)
  const places = (n: number) => Array.from({ length: n }, (_, i) => i)
  const all = model.config.layerSpecs.flatMap(unitsOf)
  const encoded = new Map<string, EncodedMatrix>()
  for (const [name, { params }] of configurations) {
    throwIfAborted(job.signal)
    const w = await readMatrix(model, `${name}.weight`)
    const given = params as { rows?: number; cols?: number }
    const units = all.find(u => u.input === name || u.outputs.includes(name))
    const kept = (count: number, size: number) => {
      if (!units || count === size) return places(size)
      const chosen = largest(scored.get(units.input)!, count / units.width)
      return chosen.flatMap(u => places(units.width).map(i => u * units.width + i))
    }
    const { rows = w.rows, cols = w.cols } = given
    encoded.set(name, storePruned(w, kept(rows, w.rows), kept(cols, w.cols), bits))
  }
  return encoded
}
