import { type LongWork, type Matrix, random, seedFor, throwIfAborted, zeroMatrix } from '@reallm/tensor-io'
import { loadBlock, loadOuter, type ModelWeights, tf, valuesOf } from '@reallm/transformer'
import { join, mkdir } from '#platform'
import { type Activations, activations } from './activations.ts'
import { blockInputs } from './block-inputs.ts'
import { choiceErrors } from './choice-errors.ts'
import { headInput, inputGroups, symmetricMoment } from './forward.ts'
import { blockGradients, type Fisher, headGradients, predictedTokens } from './gradients.ts'
import type { EncodePool } from './pool.ts'
import type { Effort, MatrixModule, Recipe } from './recipe.ts'
import type { SharedFits } from './shared-fits.ts'
import { tokenWeights } from './token-weights.ts'
import type { Windows } from './windows.ts'

/** Predicted KL divergence from the original, in nats per token, of each choice of each matrix. */
type Damages = Readonly<Record<string, readonly number[]>>

export interface Survey {
  readonly damages: Damages
  /** Mean squared gradient at the embedding's output: a plain squared error of a row costs half of it, in nats. */
  readonly inputSensitivity: number
}

export interface SurveyOptions extends LongWork {
  readonly model: ModelWeights
  /** What has choices to measure. */
  readonly matrices: readonly MatrixModule[]
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
  readonly windows: Windows
  readonly pool: EncodePool
  readonly shared: SharedFits
  /** Directory for what does not fit in memory. */
  readonly scratch: string
  /**
   * Keeps what a recipe wants of gradients: the second moment at a module's outputs `[out, out]`, under `head` that of the
   * head's inputs, under `<module>.tokens` of the first module of a group with the same input how much each token
   * counts, see `tokenWeights`; or under `<module>.rows` and `<module>.cols` the Fisher
   * information of a weight, `[1, out]` and `[1, in]`.
   */
  readonly keep?: (name: string, values: Matrix) => Promise<void>
}

/** Windows of the survey, spread over those to fit; gradients need fewer than second moments of inputs. */
const surveyWindows: Record<Effort, { count: number; length: number }> = {
  fast: { count: 8, length: 256 },
  normal: { count: 8, length: 384 },
  best: { count: 24, length: 512 },
}

/** What every token counts in the second moments beside its share of a window's squared gradient: few tokens carry most. */
const plainShare = 0.3

/**
 * Measures what each choice would do to the model: the error of the outputs under H, times the squared gradient
 * that the model's own predictions send back there. To second order `KL ≈ ½ · mean((g ΔW x)²)` nats per token, which is
 * taken apart as `½ · mean(g²) · tr(ΔW H ΔWᵀ)`, H being, but for a share that all tokens have, the
 * mean of `‖g‖² x xᵀ` over that of `‖g‖²`. One forward and one backward pass over a few windows, one block
 * in memory.
 */
export async function survey(options: SurveyOptions): Promise<Survey> {
  const { model, matrices, recipe, effort, scratch, signal, onProgress } = options
  const { config } = model
  await mkdir(scratch, { recursive: true })
  const { count, length } = surveyWindows[effort]
  const { fit } = options.windows
  const looked = Array.from({ length: Math.min(count, fit.length) }, (_, i) =>
    Math.floor((i * fit.length) / Math.min(count, fit.length)),
  )
  const windows = looked.map(w => fit[w].subarray(0, length))
  const total = 2 * config.layers + 1
  let done = 0
  const step = (name: string) => {
    throwIfAborted(signal)
    done++
    onProgress?.({ event: 'survey-end', name, done, total })
  }

  const { inputs, behind } = await blockInputs(model, windows, scratch, {
    ...(signal && { signal }),
    onBlock: i => step(`block ${i} forward`),
  })

  // Backward: gradients at the outputs of every layer, second moments of the inputs, and candidates measured.
  const outer = await loadOuter(model)
  const gradients = await activations(join(scratch, 'gradients.f32'))
  const stream = random(seedFor(options.seed, 'survey'))
  const headMoment = symmetricMoment()
  // How often each token is predicted, and so, on average, read: no token is taken for quite unused.
  const use = new Float32Array(config.vocabSize).fill(0.01 / config.vocabSize)
  for (let w = 0; w < windows.length; w++) {
    throwIfAborted(signal)
    const x = await behind.get(w)
    const input = headInput(config, outer, x)
    headMoment.add(input, input)
    input.dispose()
    const { labels, chances } = predictedTokens(config, outer, x.values, stream)
    await gradients.set(w, headGradients(config, outer, x.values, labels))
    for (let v = 0; v < use.length; v++) use[v] += chances[v] / windows.length
  }
  tf.dispose(outer)
  await behind.close()
  step('head')

  const damages: Record<string, readonly number[]> = {}
  // The choices of a block are measured while the gradients go on.
  let measuring: Promise<unknown> = Promise.resolve()
  for (let i = config.layers - 1; i >= 0; i--) {
    const modules = matrices.filter(m => m.block === i)
    const { sensitivity, hessians } = await backward(options, i, modules, inputs[i], gradients, looked)
    await inputs[i].close()
    await measuring
    measuring = Promise.all(
      modules.map(async module => {
        const errors = await choiceErrors(options, module, hessians.get(leaderOf(module.name))!)
        damages[module.name] = errors.map(error => 0.5 * sensitivity.get(module.name)! * error)
      }),
    )
    // What stops the gradients is what is reported.
    measuring.catch(() => {})
    step(`block ${i} backward`)
  }
  await measuring
  let inputSensitivity = 0
  for (let w = 0; w < windows.length; w++)
    inputSensitivity += meanSquare(await gradients.get(w)) / windows.length
  await gradients.close()
  const atHead = headMoment.take()
  if (recipe.twoSided) await options.keep?.('head', atHead)
  for (const module of matrices.filter(m => m.block === undefined)) {
    const asHead = module.tied || module.kind === 'lm_head'
    const hessian = asHead ? atHead : zeroMatrix(config.hiddenSize, config.hiddenSize)
    const whole = module.kind === 'embed_tokens' ? withInput(hessian, inputSensitivity) : hessian
    const errors = await choiceErrors(options, module, whole, use)
    damages[module.name] = errors.map(error => 0.5 * error)
  }
  return { damages, inputSensitivity }
}

/** The moment that a tied embedding is encoded under: at the head, and where tokens are read. */
export function withInput(hessian: Matrix, inputSensitivity: number): Matrix {
  const data = hessian.data.slice()
  for (let i = 0; i < data.length; i += hessian.cols + 1) data[i] += inputSensitivity
  return { ...hessian, data }
}

/** What the backward pass over a block tells. */
interface BlockSurvey {
  /** Mean squared gradient at each layer's outputs. */
  readonly sensitivity: ReadonlyMap<string, number>
  /** Second moments of the inputs of each group of layers, by its first one, tokens mostly weighed by the squared gradient. */
  readonly hessians: ReadonlyMap<string, Matrix>
}

/** Takes the gradients of all windows over block `i`; `looked` are the windows' places among those to fit. */
async function backward(
  { model, recipe, signal, keep, windows: { fit, length } }: SurveyOptions,
  i: number,
  modules: readonly MatrixModule[],
  inputs: Activations,
  gradients: Activations,
  looked: readonly number[],
): Promise<BlockSurvey> {
  const weights = await loadBlock(model, i)
  const sensitivity = new Map(modules.map(m => [m.name, 0]))
  const moments = new Map(keep && recipe.twoSided ? modules.map(m => [m.name, symmetricMoment()]) : [])
  const fisher = new Map<string, Fisher>()
  const groups = new Map(
    [...new Set(modules.map(m => leaderOf(m.name)))].map(leader => [leader, symmetricMoment()]),
  )
  const tokens = new Map([...groups.keys()].map(leader => [leader, zeroMatrix(fit.length, length)]))
  for (const [w, place] of looked.entries()) {
    throwIfAborted(signal)
    const found = blockGradients(
      model.config,
      weights,
      i,
      modules,
      await inputs.get(w),
      await gradients.get(w),
      keep && recipe.fisher,
    )
    for (const [name, of] of found.squares) addTo(fisher, name, of)
    for (const [name, g] of found.outputs) {
      const squares = valuesOf(() => g.square().sum(1))
      const row = tokens.get(leaderOf(name))!.data.subarray(place * length)
      for (const [t, v] of squares.entries()) {
        row[t] += v
        sensitivity.set(name, sensitivity.get(name)! + v / squares.length / g.shape[1]! / looked.length)
      }
      moments.get(name)?.add(g, g)
    }
    for (const [leader, m] of groups) {
      const x = found.inputs.get(leader)!
      const squares = tokens.get(leader)!.data.subarray(place * length, place * length + x.shape[0])
      const mean = squares.reduce((sum, v) => sum + v, 0) / squares.length
      const shares = squares.map(v => Math.sqrt((mean > 0 ? v / mean : 1) + plainShare))
      const weighed = tf.tidy(() => x.mul(tf.tensor2d(shares, [x.shape[0], 1])))
      m.add(weighed, weighed)
      weighed.dispose()
    }
    tf.dispose([...found.outputs.values(), ...found.inputs.values()])
    await gradients.set(w, found.input)
  }
  tf.dispose(weights)
  for (const [name, m] of moments) await keep!(name, m.take())
  for (const [name, { rows, cols }] of fisher) {
    await keep!(`${name}.rows`, { rows: 1, cols: rows.length, data: rows })
    await keep!(`${name}.cols`, { rows: 1, cols: cols.length, data: cols })
  }
  const hessians = new Map<string, Matrix>()
  for (const [leader, m] of groups) {
    const hessian = m.take()
    hessians.set(leader, { ...hessian, data: hessian.data.map(v => v / (1 + plainShare)) })
    if (keep && recipe.twoSided) await keep(`${leader}.tokens`, tokenWeights(tokens.get(leader)!, looked))
  }
  return { sensitivity, hessians }
}

/** The first of the modules that see the same input. */
function leaderOf(module: string): string {
  const group = inputGroups.find(parts => parts.some(part => module.endsWith(part)))!
  return module.slice(0, module.length - group.find(part => module.endsWith(part))!.length) + group[0]
}

function addTo(sums: Map<string, Fisher>, name: string, { rows, cols }: Fisher): void {
  const sum = sums.get(name) ?? { rows: new Float32Array(rows.length), cols: new Float32Array(cols.length) }
  for (const [i, v] of rows.entries()) sum.rows[i] += v
  for (const [i, v] of cols.entries()) sum.cols[i] += v
  sums.set(name, sum)
}

function meanSquare(values: Float32Array): number {
  let sum = 0
  for (const v of values) sum += v * v
  return sum / values.length
}
