import { type Matrix, random, seedFor, throwIfAborted, zeroMatrix } from '@reallm/tensor-io'
import { loadBlock, loadTensors, streamWidth, tf, valuesOf, withHead } from '@reallm/transformer'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { type Effort, keptStatistics } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'
import { type Activations, activations, fileScratch } from './activations.ts'
import { plusDiagonal, symmetricCovariance } from './covariance.ts'
import { groupOf, headInput, routedModules } from './forward.ts'
import { blockGradients, headGradients, sampledLabels } from './gradients.ts'
import type { HiddenStates } from './hidden-states.ts'
import { layerInputs } from './layer-inputs.ts'
import type { MatrixStatistics } from './matrix-statistics.ts'
import type { Sequences } from './sequences.ts'
import { type SplitHessians, splitHessian } from './split-hessian.ts'
import { type Fisher, statistics } from './statistics.ts'
import { tokenWeights } from './token-weights.ts'
import { unreachedAsOthers } from './unreached.ts'

/** Tokens of the sequences that gradients are taken of, spread over all: they need fewer than Hessians. */
const gradientTokens: Record<Effort, number> = { fast: 2048, normal: 3072, best: 12288 }

/** Share that every token has in a Hessian besides that of its squared gradient: few tokens carry most of it. */
const plainShare = 0.3

/**
 * Runs the original model forward and backward over a few sequences, one layer in memory, and yields the statistics of
 * each layer's matrices, from the last layer to the first, projection group by projection group, then those of embedding and
 * head. What the recipe needs for rounding is put into the checkpoint (`statistics`).
 *
 * Gradients are of Σ −log p(label) with labels sampled from the model's own predictions, so that their covariances are
 * the model's Fisher information.
 */
export async function* calibrate(
  model: OpenedModel,
  sequences: Sequences,
  checkpoint: Checkpoint,
  settings: Settings,
): AsyncGenerator<readonly MatrixStatistics[]> {
  const { config, weights, parts } = model
  const { recipe, effort, signal, onProgress } = settings
  const all = sequences.calibration
  const count = Math.min(all.length, Math.ceil(gradientTokens[effort] / sequences.length))
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * all.length) / count))
  const chosen = places.map(place => all[place])
  const total = 2 * config.layers + 1
  let done = 0
  const step = (name: string) => {
    throwIfAborted(signal)
    done++
    onProgress?.({ event: 'calibration-end', name, done, total })
  }

  const scratch = fileScratch(checkpoint.scratch)
  const forward = await layerInputs(weights, chosen, scratch, {
    signal,
    onLayer: i => step(`layer ${i} forward`),
  })
  const gradients = await activations(scratch)
  try {
    const head = await headStatistics(model, forward.behind, chosen.length, gradients, settings)
    step('head')
    for (let i = config.layers - 1; i >= 0; i--) {
      const layer = { layer: i, modules: parts.matrices.filter(m => m.layer === i) }
      const take = await backward(
        { model, settings, sequences, checkpoint, places },
        { ...layer, inputs: forward.inputs[i], gradients },
      )
      await forward.inputs[i].close()
      step(`layer ${i} backward`)
      yield* take
    }
    let inputSensitivity = 0
    for (let s = 0; s < chosen.length; s++)
      inputSensitivity += meanSquare(await gradients.get(s)) / chosen.length
    await checkpoint.put(statistics.inputSensitivity, inputSensitivity)
    await checkpoint.put(statistics.rowUse, head.rowUse)
    if (keptStatistics(recipe, effort).outputGradients)
      await checkpoint.put(statistics.headHessian, head.hessian)
    yield vocabularyStatistics(model, head, inputSensitivity)
  } finally {
    for (const each of [...forward.inputs, forward.behind, gradients]) await each.close()
  }
}

interface HeadStatistics {
  readonly hessian: Matrix
  readonly split: SplitHessians
  readonly rowUse: Float32Array
}

/** Predicts at the head, and starts `gradients` there. */
async function headStatistics(
  { config, weights }: OpenedModel,
  behind: HiddenStates,
  count: number,
  gradients: Activations,
  { seed, signal }: Settings,
): Promise<HeadStatistics> {
  const norm = await loadTensors(weights, [`${config.norm.name}.weight`])
  const stream = random(seedFor(seed, 'survey'))
  const hessian = symmetricCovariance()
  const split = splitHessian(count)
  // How often each token is predicted, and so, on average, read: no token is taken for quite unused.
  const rowUse = new Float32Array(config.vocabSize).fill(0.01 / config.vocabSize)
  await withHead(weights, async head => {
    for (let s = 0; s < count; s++) {
      throwIfAborted(signal)
      const x = await behind.get(s)
      const input = headInput(config, norm, x)
      hessian.add(input, input)
      split.add(s, input)
      input.dispose()
      const chances = new Float32Array(config.vocabSize)
      const labels = sampledLabels(stream, chances, x.length)
      await gradients.set(s, await headGradients(config, head, x.values, labels))
      for (let v = 0; v < rowUse.length; v++) rowUse[v] += chances[v] / count
    }
  })
  tf.dispose(norm)
  await behind.close()
  return { hessian: hessian.take(), split: split.take()!, rowUse }
}

/** A head meets the Hessian of its input; an embedding the gradients where its rows are read; a tied one meets both. */
function vocabularyStatistics(
  { config, parts }: OpenedModel,
  { split, rowUse }: HeadStatistics,
  inputSensitivity: number,
): MatrixStatistics[] {
  const none = zeroMatrix(config.hiddenSize, config.hiddenSize)
  return parts.matrices
    .filter(m => m.layer === undefined)
    .map(module => {
      const isHead = module.tied === true || module.kind === 'lm_head'
      const at = (headHessian: Matrix) => {
        const hessian = isHead ? headHessian : none
        return module.kind === 'embed_tokens' ? plusDiagonal(hessian, inputSensitivity) : hessian
      }
      const hessians = { rounding: at(split.rounding), measuring: at(split.measuring) }
      return { module, hessians, gradient: 1, rowUse }
    })
}

interface BackwardContext {
  readonly model: OpenedModel
  readonly settings: Settings
  readonly sequences: Sequences
  readonly checkpoint: Checkpoint
  /** Of the sequences with gradients among all. */
  readonly places: readonly number[]
}

interface BackwardLayer {
  readonly layer: number
  readonly modules: readonly MatrixModule[]
  readonly inputs: Activations
  /** At the layer's output, to be replaced by those at its input. */
  readonly gradients: Activations
}

/** Takes the gradients of all chosen sequences over one layer; statistics become matrices as they are asked for. */
async function backward(
  { model, settings, sequences, checkpoint, places }: BackwardContext,
  { layer, modules, inputs, gradients }: BackwardLayer,
): Promise<Iterable<readonly MatrixStatistics[]>> {
  const keep = keptStatistics(settings.recipe, settings.effort)
  const { length } = sequences
  const count = sequences.calibration.length
  const weights = await loadBlock(model.weights, layer)
  const gradient = new Map(modules.map(m => [m.name, 0]))
  const outputs = new Map(keep.outputGradients ? modules.map(m => [m.name, symmetricCovariance()]) : [])
  const fisher = new Map<string, Fisher>()
  const group = new Map(modules.map(m => [m.name, groupOf(model.config, layer, m.name)]))
  const groups = [...new Set(group.values())]
  const hessians = new Map(groups.map(group => [group, splitHessian(places.length)]))
  const routed = routedModules(model.config, layer)
  const all = groups.filter(group => !routed.has(group))
  const tokens = new Map(all.map(group => [group, zeroMatrix(count, length)]))
  for (const [s, place] of places.entries()) {
    throwIfAborted(settings.signal)
    const [x, dy] = [await inputs.get(s), await gradients.get(s)]
    const found = blockGradients(model.config, weights, layer, x, dy, keep.fisher)
    const positions = x.length / streamWidth(model.config)
    const groupSquares = new Map<string, Float32Array>()
    for (const [name, squares] of found.squares) addTo(fisher, name, squares)
    for (const [name, g] of found.outputs) {
      const squares = valuesOf(() => g.square().sum(1))
      const own = group.get(name)!
      const row = groupSquares.get(own) ?? new Float32Array(squares.length)
      groupSquares.set(own, row)
      for (const [t, v] of squares.entries()) {
        row[t] += v
        gradient.set(name, gradient.get(name)! + v / positions / g.shape[1]! / places.length)
      }
      outputs.get(name)?.add(g, g)
    }
    for (const [name, squares] of groupSquares) {
      tokens.get(name)?.data.set(squares, place * length)
      const mean = squares.reduce((sum, v) => sum + v, 0) / squares.length
      const share = squares.map(v => (mean > 0 ? v / mean : 1))
      hessians.get(name)!.add(s, found.inputs.get(name)!, {
        rounding: share.map(v => Math.sqrt(v) + plainShare),
        measuring: share.map(v => (v + plainShare) / (1 + plainShare)),
      })
    }
    tf.dispose([...found.outputs.values(), ...found.inputs.values()])
    await gradients.set(s, found.input)
  }
  tf.dispose(weights)
  for (const [name, g] of outputs)
    if (g.positions > 0) await checkpoint.put(statistics.outputGradients(name), g.take())
  for (const [name, found] of fisher) await checkpoint.put(statistics.fisher(name), found)
  if (keep.outputGradients) {
    for (const [name, squares] of tokens)
      await checkpoint.put(statistics.tokenWeights(name), tokenWeights(squares, places))
  }
  function* take(): Iterable<readonly MatrixStatistics[]> {
    const left = new Set(groups)
    const taken = (names: readonly string[]) => {
      const split = new Map(names.map(name => [name, hessians.get(name)!.take()]))
      for (const name of names) left.delete(name)
      return modules
        .filter(({ name }) => split.has(group.get(name)!))
        .map(module => ({
          module,
          hessians: split.get(group.get(module.name)!),
          gradient: gradient.get(module.name)!,
        }))
    }
    try {
      // Experts that no token reaches are told of by the others.
      if (routed.size > 0) yield unreachedAsOthers(taken(groups))
      else for (const name of groups) yield unreachedAsOthers(taken([name]))
    } finally {
      for (const name of left) hessians.get(name)!.dispose()
    }
  }
  return take()
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
