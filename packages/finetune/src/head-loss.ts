import {
  finalNorm,
  headWeight,
  logits,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'

/** Losses of some rows of logits, and their derivatives by the logits. */
export interface RowLosses {
  /** `[rows]`, in nats. */
  readonly losses: TfTensor
  /** `[rows, vocabulary]`. */
  derivative(): TfTensor
}

/** Logits `[to − from, vocabulary]` of the positions `from … to` → their losses. */
export type LossOfRows = (logits: TfTensor, from: number, to: number) => RowLosses

/** Logits held at a time. */
const CHUNK = 1 << 23

/**
 * `Σ weights · loss` over positions, from the hidden states after the last block, `[…, hidden]`: norm, head and loss
 * in one. Logits and their derivatives exist for some positions at a time and only the gradient of the states is kept,
 * so that a large vocabulary costs little memory (as Liger's fused linear cross-entropy does, arXiv 2410.10989).
 * Differentiable in the states and the norm's weight; the head is frozen.
 */
export function headLoss(
  config: TransformerConfig,
  weights: Weights,
  states: TfTensor,
  rowWeights: Float32Array,
  lossOf: LossOfRows,
): TfTensor {
  const head = weights[headWeight(config)]
  const { logitScale, logitSoftcap: limit } = config
  const x = finalNorm(config, weights, states).reshape([-1, config.hiddenSize])
  const rows = x.shape[0]
  const step = Math.max(1, Math.floor(CHUNK / config.vocabSize))
  const wanted = tf.engine().isTapeOn()
  return tf.customGrad((...given: unknown[]) => {
    const [x, save] = given as [TfTensor, (tensors: TfTensor[]) => void]
    const sums: TfTensor[] = []
    const gradients: TfTensor[] = []
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step)
      const [sum, gradient] = tf.tidy(() => {
        const products = tf.matMul(x.slice([from, 0], [to - from, -1]), head, false, true) as TfTensor
        const predicted = logits(config, products)
        const weight = tf.tensor1d(rowWeights.subarray(from, to))
        const { losses, derivative } = lossOf(predicted, from, to)
        const sum = losses.mul(weight).sum() as TfTensor
        if (!wanted) return [sum]
        let d = derivative()
        if (limit !== undefined) d = d.mul(tf.sub(1, predicted.div(limit).square()))
        if (logitScale !== 1) d = d.mul(logitScale)
        return [sum, tf.matMul(d, head).mul(weight.expandDims(1)) as TfTensor]
      })
      sums.push(sum)
      if (gradient) gradients.push(gradient)
    }
    if (wanted) save([tf.concat(gradients, 0)])
    return {
      value: tf.addN(sums),
      gradFunc: (dy: TfTensor, [gradient]: TfTensor[]) => gradient.mul(dy),
    }
  })(x)
}

/** Next-token loss of targets `[positions]`. */
export const nextToken =
  (targets: Int32Array): LossOfRows =>
  (logits, from, to) => {
    const places = tf.stack(
      [tf.range(0, to - from, 1, 'int32'), tf.tensor1d(targets.subarray(from, to), 'int32')],
      1,
    )
    const logs = tf.logSumExp(logits, -1, true)
    return {
      losses: tf.sub(logs.squeeze([1]), tf.gatherND(logits, places)),
      derivative: () =>
        tf
          .exp(logits.sub(logs))
          .sub(tf.scatterND(places, tf.ones([to - from]), logits.shape as [number, number])),
    }
  }
