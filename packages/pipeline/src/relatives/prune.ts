import { largest, prunedCodec, storePruned } from '@reallm/lowrank'
import { type EncodedMatrix, throwIfAborted } from '@reallm/tensor-io'
import {
  linear,
  loadWeights,
  nextTokenLoss,
  type TfTensor,
  type TransformerConfig,
  tf,
} from '@reallm/transformer'
import { readMatrix } from '../prefix.ts'
import { type BlocksJob, type Choice, choice, type MatrixModule, type Recipe, recipe } from '../recipe.ts'

const bits = 8

/** Blocks at the start that are left alone: errors there pass through all others. */
const keptBlocks = 2

/** Shares of the heads and channels that may be kept, from 4 %. */
const keptShares = Array.from({ length: 49 }, (_, i) => (i + 2) / 50)

/** What is left out together: a head (rows of q, columns of o) or a channel (rows of gate and up, columns of down). */
interface Units {
  /** Module, without its block, whose columns they are. */
  readonly input: string
  /** Modules whose rows they are. */
  readonly outputs: readonly string[]
  readonly count: number
  /** Rows or columns of each. */
  readonly width: number
}

const unitsOf = ({ heads, headDim, intermediateSize }: TransformerConfig): Units[] => [
  { input: 'self_attn.o_proj', outputs: ['self_attn.q_proj'], count: heads, width: headDim },
  { input: 'mlp.down_proj', outputs: ['mlp.gate_proj', 'mlp.up_proj'], count: intermediateSize, width: 1 },
]

/** Scores of the units of each block, by the whole name of the module whose columns they are. */
type Scores = (job: BlocksJob) => Promise<ReadonlyMap<string, Float32Array>>

/** Structured pruning of heads and channels, the same share in all blocks but the first; no training. */
export const pruneRecipes: readonly Recipe[] = [
  pruning('prune-magnitude', 'largest weights', magnitudes),
  pruning('prune-taylor', 'largest first-order effect on the loss', taylor),
]

function pruning(name: string, which: string, scores: Scores): Recipe {
  return recipe(name, {
    what: `heads and channels with the ${which} are kept, the others left out: the baseline of llm-rom`,
    source: 'LLM-Pruner arXiv 2305.11627',
    block: shares,
    embedding: () => [choice('8 bits', prunedCodec, { bits })],
    uniform: true,
    together: job => prune(job, scores),
  })
}

/** Keys and values are shared by heads: they stay, as the first blocks do. */
function shares({ kind, block = 0, shape: [rows, cols], headDim }: MatrixModule): Choice[] {
  const whole = choice('whole, 8 bits', prunedCodec, { bits })
  if (block < keptBlocks || kind === 'k_proj' || kind === 'v_proj') return [whole]
  const byColumn = kind === 'o_proj' || kind === 'down_proj'
  const size = byColumn ? cols : rows
  const width = kind === 'q_proj' || kind === 'o_proj' ? headDim! : 1
  return keptShares.map(share => {
    const kept = width * Math.max(1, Math.round((share * size) / width))
    const params = { [byColumn ? 'cols' : 'rows']: kept, bits }
    return choice(`${Math.round(100 * share)} % of heads and channels, 8 bits`, prunedCodec, params, 'pruned')
  })
}

async function prune(job: BlocksJob, scores: Scores): Promise<Map<string, EncodedMatrix>> {
  const { model, choices } = job
  const scored = await scores(job)
  const all = (n: number) => Array.from({ length: n }, (_, i) => i)
  const encoded = new Map<string, EncodedMatrix>()
  for (const [name, { params }] of choices) {
    throwIfAborted(job.signal)
    const w = await readMatrix(model, `${name}.weight`)
    const given = params as { rows?: number; cols?: number }
    const units = unitsOf(model.config).find(u => [u.input, ...u.outputs].some(part => name.endsWith(part)))
    const kept = (count: number, size: number) => {
      if (!units || count === size) return all(size)
      const [, block] = /^(model\.layers\.\d+\.)/.exec(name)!
      const chosen = largest(scored.get(`${block}${units.input}`)!, count / units.width)
      return chosen.flatMap(u => all(units.width).map(i => u * units.width + i))
    }
    const { rows = w.rows, cols = w.cols } = given
    encoded.set(name, storePruned(w, kept(rows, w.rows), kept(cols, w.cols), bits))
  }
  return encoded
}

/** Sum of squares of a unit's weights in all its matrices. */
async function magnitudes({ model }: BlocksJob): Promise<Map<string, Float32Array>> {
  const scores = new Map<string, Float32Array>()
  for (let i = 0; i < model.config.layers; i++) {
    for (const { input, outputs, count, width } of unitsOf(model.config)) {
      const sums = new Float32Array(count)
      for (const part of [input, ...outputs]) {
        const { data, cols } = await readMatrix(model, `model.layers.${i}.${part}.weight`)
        for (let k = 0; k < data.length; k++) {
          sums[Math.floor((part === input ? k % cols : Math.floor(k / cols)) / width)] += data[k] ** 2
        }
      }
      scores.set(`model.layers.${i}.${input}`, sums)
    }
  }
  return scores
}

/**
 * The squared first-order change of a window's loss when a unit is left out (Molchanov et al., arXiv 1906.10771), summed
 * over the calibration windows: with a gate of 1 on the unit it is the square of the gate's gradient.
 */
async function taylor({ model, windows, signal, onProgress }: BlocksJob): Promise<Map<string, Float32Array>> {
  const { config } = model
  const gates = new Map<string, Units>()
  for (let i = 0; i < config.layers; i++) {
    for (const units of unitsOf(config)) gates.set(`model.layers.${i}.${units.input}`, units)
  }
  const names = [...gates.keys()]
  const scores = new Map(names.map(name => [name, new Float32Array(gates.get(name)!.count)]))
  const weights = await loadWeights(model)
  try {
    for (const [w, ids] of windows.fit.entries()) {
      throwIfAborted(signal)
      tf.tidy(() => {
        const tokens = tf.tensor2d(ids, [1, ids.length], 'int32')
        const loss = (...values: TfTensor[]) =>
          nextTokenLoss(config, weights, tokens, {
            linear(name, x, plain) {
              const gate = gates.get(name)
              if (!gate) return plain()
              const { count, width } = gate
              const open = values[names.indexOf(name)].reshape([count, 1]).tile([1, width]).reshape([-1])
              return linear(x.mul(open), weights[`${name}.weight`])
            },
          })
        const gradients = tf.grads(loss)(names.map(name => tf.ones([gates.get(name)!.count])))
        for (const [k, g] of gradients.entries()) {
          const sums = scores.get(names[k])!
          for (const [u, v] of g.dataSync().entries()) sums[u] += v ** 2
        }
      })
      onProgress?.({ event: 'survey-end', name: 'scores', done: w + 1, total: windows.fit.length })
    }
  } finally {
    tf.dispose(weights)
  }
  return scores
}
