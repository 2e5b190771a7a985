import { type Matrix, throwIfAborted } from '@reallm/tensor-io'
import { blockTensors, loadTensors, sublayers, type TfTensor, tf, type Weights } from '@reallm/transformer'
import { type Activations, activations } from '../calibrate/activations.ts'
import { finishSublayer, routedModules, runSublayer } from '../calibrate/forward.ts'
import type { HiddenStates } from '../calibrate/hidden-states.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { freeLarge } from '../encoder/free-large.ts'
import { isAsymmetric, needsHessians } from '../recipes/recipe.ts'
import { gatherHessians } from './gather-hessians.ts'
import { limited } from './limited.ts'
import type { Passes, QuantiseContext } from './quantise-context.ts'
import { quantiseMatrix } from './quantise-matrix.ts'
import { releasesWeights } from './releases-weights.ts'
import { keepForTuning, tuneLayer } from './tune-layer.ts'

/** A layer whose original has been run: what its quantisation starts from. */
export interface OpenedLayer {
  /** The original's, to be replaced by what the matrices decode to. */
  readonly weights: Record<string, TfTensor>
  /** What the original has at each projection group, by the group's name, where the recipe wants it: see `passOriginal`. */
  readonly originals: ReadonlyMap<string, Activations>
  /** What was stored before, by module. */
  readonly known: ReadonlyMap<string, Matrix | undefined>
}

/** Loads layer `i` and takes the original's pass over it. */
export async function openLayer(
  context: QuantiseContext,
  i: number,
  original: HiddenStates,
): Promise<OpenedLayer> {
  const { allocation, matrices, model } = context
  const known = new Map<string, Matrix | undefined>()
  for (const { module } of allocation.matrices) {
    if (module.layer === i) known.set(module.name, await matrices.decoded(module.name))
  }
  const open = new Set([...known].filter(([, decoded]) => !decoded).map(([name]) => name))
  const weights = await loadTensors(model.weights, blockTensors(model.config, i).keys())
  const originals = await passOriginal(context, i, weights, original, open)
  return { weights, originals, known }
}

/**
 * Stores layer `i`, projection group by projection group, each behind everything quantised before it, and takes the
 * quantised pass over the layer; then trains it, where the recipe does. The next layer is opened while the last group is
 * encoded where memory holds two, else at the end.
 */
export async function quantiseLayer(
  context: QuantiseContext,
  i: number,
  passes: Passes,
  opened: OpenedLayer,
): Promise<OpenedLayer | undefined> {
  const { model, allocation, scratch, settings } = context
  const { config } = model
  const { weights, originals, known } = opened
  const inLayer = allocation.matrices.filter(m => m.module.layer === i)
  const tuning = await keepForTuning(context, passes)
  const steps = sublayers(config, i)
  const lastGroup = steps.at(-1)!.groups.at(-1)
  let next: OpenedLayer | undefined
  // What waits for a thread is not read yet; other machines take all there is.
  const store = limited(context.memory.threads || Number.POSITIVE_INFINITY)
  for (const sublayer of steps) {
    let lastInputs: Activations | undefined
    for (const group of sublayer.groups) {
      const members = inLayer.filter(m => group.includes(m.module.name))
      let found: RoundingStatistics = {}
      if (needsHessians(settings.recipe) && members.some(m => !known.get(m.module.name))) {
        if (group[0] === sublayer.last) lastInputs = await activations(scratch)
        const original = originals.get(group[0])
        const gathered = { sublayer, group: group[0], original, keep: lastInputs }
        found = await gatherHessians(context, weights, passes.quantised, gathered)
      }
      if (lastInputs && releasesWeights(sublayer, settings.recipe)) disposeOf(weights, sublayer.groups.flat())
      const encoding = members.map(async m => {
        const { name } = m.module
        disposeOf(weights, [name])
        const decoded = known.get(name) ?? (await store(() => quantiseMatrix(context, m, found)))
        weights[`${name}.weight`] = tf.tensor2d(decoded.data, [decoded.rows, decoded.cols])
      })
      const opensNext = context.memory.opensAhead && group === lastGroup && i + 1 < config.layers
      const opening = opensNext ? openLayer(context, i + 1, passes.original) : undefined
      ;[next] = await Promise.all([opening, ...encoding])
      const bytes = found.hessian?.data.byteLength ?? 0
      found = {}
      freeLarge(bytes)
    }
    await passes.quantised.advance(async (x, batch) => {
      throwIfAborted(settings.signal)
      // The input of the sublayer's last projection is known where it was gathered.
      if (lastInputs) return finishSublayer(config, weights, sublayer, x, await lastInputs.get(batch))
      return runSublayer(config, weights, sublayer, x)
    })
    await lastInputs?.close()
    if (!tuning) disposeOf(weights, sublayer.groups.flat())
  }
  if (tuning) await tuneLayer(context, i, weights, tuning, passes.quantised)
  for (const stored of originals.values()) await stored.close()
  tf.dispose(weights)
  return next ?? (i + 1 < config.layers ? openLayer(context, i + 1, passes.original) : undefined)
}

function disposeOf(weights: Weights, modules: readonly string[]): void {
  for (const name of modules) weights[`${name}.weight`]?.dispose()
}

/**
 * The original layer on all sequences. Keeps, for asymmetric recipes, what the projections to be stored are compared with:
 * the inputs of each group that all positions reach, and of a sublayer's last projection what the sublayer makes of them, since that is added to
 * the residual stream: the stream itself, or the projection's output where a norm comes between.
 */
async function passOriginal(
  { model: { config }, scratch, settings }: QuantiseContext,
  i: number,
  weights: Weights,
  pass: HiddenStates,
  open: ReadonlySet<string>,
): Promise<Map<string, Activations>> {
  const steps = sublayers(config, i)
  const kept = new Map<string, Activations>()
  if (isAsymmetric(settings.recipe)) {
    const routed = routedModules(config, i)
    for (const group of steps.flatMap(({ groups }) => groups)) {
      if (!routed.has(group[0]) && group.some(module => open.has(module)))
        kept.set(group[0], await activations(scratch))
    }
  }
  await pass.advance(async ({ values, length }, batch) => {
    throwIfAborted(settings.signal)
    let x = values
    for (const sublayer of steps) {
      const { last } = sublayer
      const found = new Map<string, Float32Array>()
      const before = { values: x, length }
      x = runSublayer(config, weights, sublayer, before, {
        onInput(module, input) {
          if (module !== last && kept.has(module)) found.set(module, input.dataSync() as Float32Array)
        },
        linear(module, _, base) {
          const y = base()
          if (module === last && kept.has(module) && !sublayer.lastOutput)
            found.set(module, y.dataSync() as Float32Array)
          return y
        },
      })
      if (last !== undefined && sublayer.lastOutput && kept.has(last)) found.set(last, x)
      for (const [group, seen] of found) await kept.get(group)!.set(batch, seen)
    }
    return x
  })
  return kept
}
