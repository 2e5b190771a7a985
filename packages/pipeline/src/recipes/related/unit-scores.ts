import { ReallmError, throwIfAborted } from '@reallm/tensor-io'
import { attentionOf, gatedMlpOf } from '@reallm/tensor-io/models'
import {
  type LayerSpec,
  loadBlock,
  type Projection,
  type TfTensor,
  tf,
  valuesOf,
  withHead,
} from '@reallm/transformer'
import { activations, fileScratch } from '../../calibrate/activations.ts'
import { blockGradients, headGradients } from '../../calibrate/gradients.ts'
import { layerInputs } from '../../calibrate/layer-inputs.ts'
import { readMatrix } from '../../open/read-matrix.ts'
import type { JointJob } from '../recipe.ts'

/** What is left out together: a head (rows of q, columns of o) or a channel (rows of gate and up, columns of down). */
export interface Units {
  /** Module whose columns they are. */
  readonly input: string
  /** Modules whose rows they are. */
  readonly outputs: readonly string[]
  readonly count: number
  /** Rows or columns of each. */
  readonly width: number
}

/**
 * The units of a layer.
 *
 * @throws `unsupported` for other mixers, for experts, and where their rows lie beside others in one matrix
 */
export function unitsOf({ ffn, ...layer }: LayerSpec): Units[] {
  const mixer = attentionOf(layer.mixer, 'leaving out heads')
  const mlp = gatedMlpOf(ffn, 'leaving out channels')
  const whole = ({ module, from, to }: Projection) => {
    if (to - from === module.shape[0]) return module.name
    throw new ReallmError('unsupported', `${module.name}: parts of fused matrices cannot be left out`)
  }
  if (mixer.gated) {
    throw new ReallmError('unsupported', `${mixer.output.name}: heads with a gate cannot be left out`)
  }
  const heads = { outputs: [whole(mixer.query)], count: mixer.heads, width: mixer.headDim }
  const channels = { outputs: [whole(mlp.gate), whole(mlp.up)], count: mlp.width, width: 1 }
  return [
    { input: mixer.output.name, ...heads },
    { input: mlp.down.name, ...channels },
  ]
}

/** What scores are made from. */
export type ScoredModel = Pick<JointJob, 'model' | 'sequences' | 'work' | 'signal' | 'onProgress'>

/** Scores of the units of each layer, by the whole name of the module whose columns they are. */
export type Scores = (job: ScoredModel) => Promise<ReadonlyMap<string, Float32Array>>

/** Sum of squares of a unit's weights in all its matrices. */
export async function magnitudes({ model }: Pick<JointJob, 'model'>): Promise<Map<string, Float32Array>> {
  const scores = new Map<string, Float32Array>()
  for (let i = 0; i < model.config.layers; i++) {
    for (const { input, outputs, count, width } of unitsOf(model.config.layerSpecs[i])) {
      const sums = new Float32Array(count)
      for (const part of [input, ...outputs]) {
        const { data, cols } = await readMatrix(model, `${part}.weight`)
        for (let k = 0; k < data.length; k++) {
          sums[Math.floor((part === input ? k % cols : Math.floor(k / cols)) / width)] += data[k] ** 2
        }
      }
      scores.set(input, sums)
    }
  }
  return scores
}

/**
 * The squared first-order change of a window's loss when a unit is left out (Molchanov et al., arXiv 1906.10771), summed
 * over the calibration windows: with a gate of 1 on the unit it is the square of the gate's gradient, of the unit's inputs
 * times their gradients. One forward and one backward pass, one layer in memory.
 */
export async function taylor({
  model,
  sequences: { calibration },
  work,
  signal,
  onProgress,
}: ScoredModel): Promise<Map<string, Float32Array>> {
  const { config } = model
  const scratch = fileScratch(work)
  const { inputs, behind } = await layerInputs(model, calibration, scratch, { signal })
  const gradients = await activations(scratch)
  await withHead(model, async head => {
    for (const [w, ids] of calibration.entries()) {
      throwIfAborted(signal)
      const { values } = await behind.get(w)
      const gradient = new Float32Array(values.length)
      const predicting = values.subarray(0, ((ids.length - 1) * values.length) / ids.length)
      const labels = ids.subarray(1)
      const labelsOf = (logits: TfTensor, from: number) => labels.slice(from, from + logits.shape[0]!)
      gradient.set(await headGradients(config, head, predicting, labelsOf))
      await gradients.set(w, gradient)
    }
  })
  await behind.close()
  const scores = new Map<string, Float32Array>()
  for (let i = config.layers - 1; i >= 0; i--) {
    const weights = await loadBlock(model, i)
    for (let w = 0; w < calibration.length; w++) {
      throwIfAborted(signal)
      const [x, dy] = [await inputs[i].get(w), await gradients.get(w)]
      const found = blockGradients(config, weights, i, x, dy)
      for (const { input: name, count, width } of unitsOf(config.layerSpecs[i])) {
        const gates = valuesOf(() => {
          const atInput = found.outputs.get(name)!.matMul(weights[`${name}.weight`])
          return atInput.mul(found.inputs.get(name)!).sum(0).reshape([count, width]).sum(1)
        })
        const sums = scores.get(name) ?? new Float32Array(count)
        scores.set(name, sums)
        for (const [u, v] of gates.entries()) sums[u] += v ** 2
      }
      tf.dispose([...found.outputs.values(), ...found.inputs.values()])
      await gradients.set(w, found.input)
    }
    tf.dispose(weights)
    await inputs[i].close()
    onProgress?.({
      event: 'calibration-end',
      name: `scores of layer ${i}`,
      done: config.layers - i,
      total: config.layers,
    })
  }
  await gradients.close()
  return scores
}
