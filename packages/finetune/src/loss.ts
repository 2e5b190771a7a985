import {
  crossEntropy,
  type ForwardOptions,
  head,
  hiddenStates,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import type { Batch } from './batches.ts'

/**
 * Sum over a batch's scored tokens of −log p(target), in nats: what `train` wants as `loss`. Differentiable in the
 * weights and in whatever the hooks compute with.
 *
 * @example
 * await train({ parameters, batches, steps, learningRate, loss: batch => summedLoss(config, weights, batch) })
 */
export function summedLoss(
  config: TransformerConfig,
  weights: Weights,
  batch: Batch,
  options: ForwardOptions = {},
): TfTensor {
  return tf.tidy(() => {
    const ids = tf.tensor2d(batch.ids, [batch.rows, batch.length], 'int32')
    const states = hiddenStates(config, weights, ids, options)
    const logits = head(config, weights, states, options).reshape([-1, config.vocabSize])
    const losses = crossEntropy(logits, tf.tensor1d(batch.targets, 'int32'))
    return losses.mul(tf.tensor1d(batch.weights)).sum() as TfTensor
  })
}

/** Mean of a summed loss over the scored tokens of all batches; `prepare` runs before each. */
export async function meanLoss(
  batches: Iterable<Batch>,
  loss: (batch: Batch) => TfTensor,
  prepare?: (batch: Batch) => Promise<void>,
): Promise<number> {
  let [sum, scored] = [0, 0]
  for (const batch of batches) {
    await prepare?.(batch)
    const value = tf.tidy(() => loss(batch))
    sum += (await value.data())[0]
    scored += batch.scored
    value.dispose()
  }
  return sum / scored
}
