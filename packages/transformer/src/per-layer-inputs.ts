import type { TransformerConfig } from '@reallm/tensor-io/models'
import { normalise, project, type Weights, weightOf } from './modules.ts'
import { embedding } from './ops.ts'
import { columnsOf, streamOf } from './stream.ts'
import { type TfTensor, tf } from './tf.ts'

/**
 * The second embedding of the tokens, for all layers, `[batch, positions, layers · width]`; undefined where there is none.
 *
 * @param hidden the first, scaled
 */
export function perLayerInputs(
  { layers, hiddenSize, perLayerInputs }: TransformerConfig,
  weights: Weights,
  ids: TfTensor,
  hidden: TfTensor,
): TfTensor | undefined {
  if (!perLayerInputs) return undefined
  const { width, table, projection, norm } = perLayerInputs
  const [batch, length] = hidden.shape as [number, number]
  const projected = project(weights, projection, hidden, {}).mul(hiddenSize ** -0.5)
  const normed = normalise(weights, norm, projected.reshape([batch, length, layers, width]))
  const looked = embedding(weightOf(weights, table.name), ids).mul(Math.sqrt(width))
  return normed
    .reshape([batch, length, layers * width])
    .add(looked)
    .mul(Math.SQRT1_2) as TfTensor
}

/** The stream before the first layer. */
export function startOfStream(
  config: TransformerConfig,
  hidden: TfTensor,
  inputs: TfTensor | undefined,
): TfTensor {
  const { width } = streamOf(config)
  const [batch, length] = hidden.shape as [number, number]
  const parts = inputs ? [hidden, inputs] : [hidden]
  const filled = parts.reduce((sum, { shape }) => sum + shape[2]!, 0)
  if (filled < width) parts.push(tf.zeros([batch, length, width - filled]))
  return parts.length === 1 ? hidden : tf.concat(parts, 2)
}

/** Layer `i`'s part of the per-layer inputs in the stream. */
export function layerInput(config: TransformerConfig, i: number, stream: TfTensor): TfTensor {
  const { width } = config.perLayerInputs!
  return columnsOf(stream, { at: streamOf(config).inputs.at + i * width, width })
}
