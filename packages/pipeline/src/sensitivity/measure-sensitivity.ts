import { type LongWork, type Matrix, random, seedFor, throwIfAborted, zeroMatrix } from '@reallm/tensor-io'
import { loadBlock, loadOuter, type ModelWeights, type TfTensor, tf, valuesOf } from '@reallm/transformer'
import { join, mkdir } from '#platform'
import { type Activations, activations } from '../calibrate/activations.ts'
import { headInput, leaderOf, type Moment, symmetricMoment } from '../calibrate/forward.ts'
import { blockGradients, type Fisher, headGradients, predictedTokens } from '../calibrate/gradients.ts'
import { blockInputs } from '../calibrate/layer-inputs.ts'
import type { Windows } from '../calibrate/sequences.ts'
import { tokenWeights } from '../calibrate/token-weights.ts'
import type { EncodePool } from '../encoder/encoder.ts'
import type { SharedFits } from '../encoder/shared-decoders.ts'
import type { Effort, MatrixModule, Recipe } from '../recipes/recipe.ts'
import { choiceErrors, type SplitMoments } from './configuration-errors.ts'

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

/** Share of the mean diagonal that is added to the moment that choices are rounded under: it knows few tokens. */
const roundingDamping = 0.1

/**
 * Measures what each choice would do to the model: the error of the outputs under H, times the squared gradient
 * that the model's own predictions send back there. To second order `KL ≈ ½ · mean((g ΔW x)²)` nats per token, which is
 * taken apart as `½ · mean(g²) · tr(ΔW H ΔWᵀ)`, H being, but for a share that all tokens have, the
 * mean of `‖g‖² x xᵀ` over that of `‖g‖²`. ΔW is rounded under every other window and measured under those between. One
 * forward and one backward pass over a few windows, one block in memory.
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
  const splitHead = splitMoment(windows.length)
  // How often each token is predicted, and so, on average, read: no token is taken for quite unused.
  const use = new Float32Array(config.vocabSize).fill(0.01 / config.vocabSize)
  for (let w = 0; w < windows.length; w++) {
    throwIfAborted(signal)
    const x = await behind.get(w)
    const input = headInput(config, outer, x)
    headMoment.add(input, input)
    splitHead.add(w, input)
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
    const { sensitivity, moments } = await backward(options, i, modules, inputs[i], gradients, looked)
    await inputs[i].close()
    await measuring
    measuring = Promise.all(
      modules.map(async module => {
        const errors = await choiceErrors(options, module, moments.get(leaderOf(config, i, module.name))!)
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
  const { rounding, damage } = splitHead.take()
  for (const module of matrices.filter(m => m.block === undefined)) {
    const asHead = module.tied || module.kind === 'lm_head'
    const none = zeroMatrix(config.hiddenSize, config.hiddenSize)
    const at = (moment: Matrix) => {
      const hessian = asHead ? moment : none
      return module.kind === 'embed_tokens' ? plusDiagonal(hessian, inputSensitivity) : hessian
    }
    const errors = await choiceErrors(options, module, { rounding: at(rounding), damage: at(damage) }, use)
    damages[module.name] = errors.map(error => 0.5 * error)
  }
  return { damages, inputSensitivity }
}

/** Sums what choices are rounded under over every other window, and what they are measured under over those between. */
function splitMoment(windows: number) {
  const rounding = symmetricMoment()
  const damage = symmetricMoment()
  const isOnly = windows === 1
  return {
    /** Inputs `x` `[positions, in]` of window `w`; weights of its tokens where they differ. */
    add(
      w: number,
      x: TfTensor,
      weights?: { readonly rounding: Float32Array; readonly damage: Float32Array },
    ) {
      const addTo = (moment: Moment, of: Float32Array | undefined) => {
        const weighed = tf.tidy(() => (of ? x.mul(tf.tensor2d(of, [of.length, 1])) : x.clone()))
        moment.add(weighed, x)
        weighed.dispose()
      }
      if (w % 2 === 0) addTo(rounding, weights?.rounding)
      if (w % 2 === 1 || isOnly) addTo(damage, weights?.damage)
    },
    take(): SplitMoments {
      const known = rounding.take()
      let trace = 0
      for (let i = 0; i < known.data.length; i += known.cols + 1) trace += known.data[i]
      return { rounding: plusDiagonal(known, (roundingDamping * trace) / known.cols), damage: damage.take() }
    },
  }
}

/** `H + value · I` */
export function plusDiagonal(hessian: Matrix, value: number): Matrix {
  const data = hessian.data.slice()
  for (let i = 0; i < data.length; i += hessian.cols + 1) data[i] += value
  return { ...hessian, data }
}

/** What the backward pass over a block tells. */
interface BlockSurvey {
  /** Mean squared gradient at each layer's outputs. */
  readonly sensitivity: ReadonlyMap<string, number>
  /** Second moments of the inputs of each group of layers, by its first one. */
  readonly moments: ReadonlyMap<string, SplitMoments>
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
  const outputs = new Map(keep && recipe.twoSided ? modules.map(m => [m.name, symmetricMoment()]) : [])
  const fisher = new Map<string, Fisher>()
  const groups = new Map(
    [...new Set(modules.map(m => leaderOf(model.config, i, m.name)))].map(leader => [
      leader,
      splitMoment(looked.length),
    ]),
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
      const row = tokens.get(leaderOf(model.config, i, name))!.data.subarray(place * length)
      for (const [t, v] of squares.entries()) {
        row[t] += v
        sensitivity.set(name, sensitivity.get(name)! + v / squares.length / g.shape[1]! / looked.length)
      }
      outputs.get(name)?.add(g, g)
    }
    for (const [leader, m] of groups) {
      const x = found.inputs.get(leader)!
      const squares = tokens.get(leader)!.data.subarray(place * length, place * length + x.shape[0])
      const mean = squares.reduce((sum, v) => sum + v, 0) / squares.length
      const share = squares.map(v => (mean > 0 ? v / mean : 1))
      const rounding = share.map(v => Math.sqrt(v) + plainShare)
      m.add(w, x, { rounding, damage: share.map(v => (v + plainShare) / (1 + plainShare)) })
    }
    tf.dispose([...found.outputs.values(), ...found.inputs.values()])
    await gradients.set(w, found.input)
  }
  tf.dispose(weights)
  for (const [name, m] of outputs) await keep!(name, m.take())
  for (const [name, { rows, cols }] of fisher) {
    await keep!(`${name}.rows`, { rows: 1, cols: rows.length, data: rows })
    await keep!(`${name}.cols`, { rows: 1, cols: cols.length, data: cols })
  }
  const moments = new Map<string, SplitMoments>()
  for (const [leader, m] of groups) {
    moments.set(leader, m.take())
    if (keep && recipe.twoSided) await keep(`${leader}.tokens`, tokenWeights(tokens.get(leader)!, looked))
  }
  return { sensitivity, moments }
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
