import {
  type CheckpointStore,
  type LongWork,
  type Random,
  ReallmError,
  throwIfAborted,
} from '@reallm/tensor-io'
import type { DenseLayer } from '@reallm/tensor-io/layouts'
import { type TfTensor, tf } from '@reallm/transformer'
import { adamW, type TfVariable } from '@reallm/transformer/adamw'

/** A layer under training: weight `[out, in]`, bias `[out]`. */
export interface TrainedDense {
  readonly weight: TfVariable
  readonly bias: TfVariable
}

/** A new layer with normal weights of the given deviation, and zero biases. */
export function createDense(
  out: number,
  width: number,
  rng: Random,
  deviation = Math.sqrt(1 / width),
): TrainedDense {
  const weight = Float32Array.from({ length: out * width }, () => rng.normal() * deviation)
  return {
    weight: tf.tidy(() => tf.variable(tf.tensor2d(weight, [out, width]))),
    bias: tf.tidy(() => tf.variable(tf.zeros([out]))),
  }
}

export const variablesOf = (layers: readonly TrainedDense[]): TfVariable[] =>
  layers.flatMap(({ weight, bias }) => [weight, bias])

/** Assigns values to a layer. */
export function setDense({ weight, bias }: TrainedDense, values: DenseLayer): void {
  const { rows, cols, data } = values.weight
  weight.assign(tf.tensor2d(data, [rows, cols]))
  bias.assign(tf.tensor1d(values.bias))
}

/** A trained layer's values. */
export async function toDense({ weight, bias }: TrainedDense): Promise<DenseLayer> {
  const [rows, cols] = weight.shape as [number, number]
  return {
    weight: { rows, cols, data: (await weight.data()) as Float32Array },
    bias: (await bias.data()) as Float32Array,
  }
}

export interface MinimiseOptions extends LongWork {
  readonly steps: number
  /** First learning rate; decays to zero by a cosine. */
  readonly learningRate: number
  /** Stop when the smoothed loss has not fallen for this many steps. Default: never. */
  readonly patience?: number | undefined
  /** Where to keep the state: a killed training resumes from it and ends in the same weights. */
  readonly checkpoint?: CheckpointStore | undefined
}

/** Steps between two checkpoints. */
const CHECKPOINT_EVERY = 50

/** The usual constants of Adam (Kingma & Ba, 1412.6980); float32 wants the larger epsilon. */
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }

/**
 * Adam with cosine decay on a scalar loss. Changes `variables` in place and leaves no other tensor in memory.
 *
 * @param loss called with the step's number, counted from 0
 * @returns the loss of every step
 * @throws ReallmError `numeric` when the loss becomes NaN or infinite, `aborted`
 */
export async function minimise(
  loss: (step: number) => TfTensor,
  variables: readonly TfVariable[],
  {
    steps,
    learningRate,
    patience = Number.POSITIVE_INFINITY,
    checkpoint,
    signal,
    onProgress,
  }: MinimiseOptions,
): Promise<number[]> {
  const parameters = new Map(variables.map((variable, i) => [`${i}`, variable]))
  const optimizer = adamW(parameters, adam)
  const started = performance.now()
  try {
    // Loaded on demand: pages without checkpoints do not fetch it.
    const state = checkpoint && (await import('./training-state.ts'))
    const before = checkpoint && (await state!.restoreTraining(checkpoint, optimizer, parameters))
    const losses = [...(before?.losses ?? [])]
    let { smooth, best = { loss: Number.POSITIVE_INFINITY, step: 0 } } = before ?? {}
    for (let step = losses.length; step < steps && step - best.step < patience; step++) {
      throwIfAborted(signal)
      const { value, grads } = tf.variableGrads(() => loss(step).asScalar(), [...variables])
      const gradients = new Map(variables.map(({ name }, i) => [`${i}`, grads[name]]))
      optimizer.step(gradients, 0.5 * learningRate * (1 + Math.cos((Math.PI * step) / steps)))
      const [now] = await value.data()
      tf.dispose([value, grads])
      if (!Number.isFinite(now)) {
        throw new ReallmError('numeric', `the decoder's loss became ${now} at step ${step}`, {
          hint: 'lower learningRate',
        })
      }
      losses.push(now)
      smooth = smooth === undefined ? now : 0.95 * smooth + 0.05 * now
      if (smooth < best.loss) best = { loss: smooth, step }
      const done = losses.length - (before?.losses.length ?? 0)
      const eta = ((performance.now() - started) / 1000 / done) * (steps - step - 1)
      onProgress?.({ event: 'step-end', done: step + 1, total: steps, error: now, eta })
      const isLast = step + 1 === steps || step + 1 - best.step >= patience
      if (checkpoint && (isLast || losses.length % CHECKPOINT_EVERY === 0))
        await state!.saveTraining(checkpoint, optimizer, parameters, { losses, smooth, best })
    }
    return losses
  } finally {
    optimizer.dispose()
  }
}

/**
 * Rounds each row to `levels` steps on each side of zero; the step follows from its largest weight. The gradient is that of
 * the straight-through estimator.
 */
export const fakeQuantiseRows = (w: TfTensor, levels: number): TfTensor =>
  straightThrough(w, x => {
    const step = tf.maximum(tf.div(tf.max(tf.abs(x), -1, true), levels), 1e-6)
    return tf.mul(tf.round(tf.div(x, step)), step)
  })

/** `round(x)` forward, the identity backward (straight-through estimator). */
export function straightThrough(x: TfTensor, round: (x: TfTensor) => TfTensor): TfTensor {
  const op = tf.customGrad(input => ({ value: round(input as TfTensor), gradFunc: (dy: TfTensor) => dy }))
  return op(x)
}

/** GELU in its sigmoid form, as `@reallm/kernels` computes it. */
export const gelu = (x: TfTensor): TfTensor => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))
