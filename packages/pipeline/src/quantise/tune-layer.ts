import { createSequenceStates, type SequenceStates } from '@reallm/finetune'
import { toFloat32 } from '@reallm/tensor-io'
import { streamWidth, type TfTensor, tf } from '@reallm/transformer'
import { runLayer } from '../calibrate/forward.ts'
import type { HiddenStates } from '../calibrate/hidden-states.ts'
import { layerTraining, type PerMatrix } from '../recipes/recipe.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import type { Passes, QuantiseContext } from './quantise-context.ts'
import { tunedLayerKey } from './tuned-layer.ts'

/** What a layer is trained with, on both passes as they were when its quantisation began. */
export interface TuningData {
  readonly tune: NonNullable<PerMatrix['tune']>
  /** Before the layer, behind everything quantised. */
  readonly inputs: SequenceStates
  /** Behind the original layer. */
  readonly targets: SequenceStates
}

/** Keeps what training the next layer needs, where the recipe trains: the passes move on while it is quantised. */
export async function keepForTuning(
  context: QuantiseContext,
  passes: Passes,
): Promise<TuningData | undefined> {
  const tune = layerTraining(context.settings.recipe)
  if (!tune) return undefined
  return {
    tune,
    inputs: await statesOf(context, passes.quantised),
    targets: await statesOf(context, passes.original),
  }
}

/**
 * Trains layer `i` once all of it is stored, or takes the result from the checkpoint; puts it into `weights`, and takes the
 * quantised pass over the layer again.
 */
export async function tuneLayer(
  { model: { config }, allocation, matrices, checkpoint, settings }: QuantiseContext,
  i: number,
  weights: Record<string, TfTensor>,
  { tune, ...data }: TuningData,
  quantised: HiddenStates,
): Promise<void> {
  const { effort, seed, signal, onProgress } = settings
  const modules = allocation.matrices.filter(m => m.module.layer === i).map(m => m.module.name)
  const encoded = new Map(
    await Promise.all(modules.map(async name => [name, await matrices.encoded(name)] as const)),
  )
  const job = { config, layer: i, weights, encoded, effort, seed, ...data, signal, onProgress }
  const tuned = await checkpoint.once(tunedLayerKey(i), () => tune(job))
  const replace = (name: string, tensor: TfTensor) => {
    weights[name].dispose()
    weights[name] = tensor
  }
  for (const [name, parts] of tuned.parts) {
    const e = encoded.get(name)!
    const { rows, cols, data } = builtInRegistry().decode({ ...e, parts: { ...e.parts, ...parts } })
    replace(`${name}.weight`, tf.tensor2d(data, [rows, cols]))
  }
  for (const [name, norm] of tuned.norms) replace(name, tf.tensor1d(toFloat32(norm)))
  let sequence = 0
  await quantised.advance(async x => {
    const values = new Float32Array(x.values.length)
    for (let at = 0; at < values.length; sequence++) {
      const states = await data.inputs.get(sequence)
      values.set(states, at)
      at += states.length
    }
    return runLayer(config, weights, i, { ...x, values })
  })
}

/** The sequences of a pass one by one. */
async function statesOf(
  { model: { config }, sequences, scratch }: QuantiseContext,
  pass: HiddenStates,
): Promise<SequenceStates> {
  const states = createSequenceStates(sequences.calibration.length, scratch.next())
  let sequence = 0
  for (let b = 0; b < pass.batches; b++) {
    const { values, length } = await pass.get(b)
    const size = length * streamWidth(config)
    for (let at = 0; at < values.length; at += size) await states.set(sequence++, values.slice(at, at + size))
  }
  return states
}
