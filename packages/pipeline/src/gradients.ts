import type { Random } from '@reallm/tensor-io'
import {
  block,
  crossEntropy,
  head,
  type TfTensor,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'

/** What the backward pass over one block gives, on one window. */
export interface BlockGradients {
  /** Gradient at the block's input, `[positions · hidden]`. */
  readonly input: Float32Array
  /** Gradient at the output of each linear layer, `[positions, out]`; the caller disposes of them. */
  readonly outputs: ReadonlyMap<string, TfTensor>
}

/** Takes the gradient `dy` at block `i`'s output back to its input and to the outputs of its linear layers. */
export function blockGradients(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  modules: readonly { readonly name: string; readonly shape: readonly [number, number] }[],
  x: Float32Array,
  dy: Float32Array,
): BlockGradients {
  const { hiddenSize } = config
  const positions = x.length / hiddenSize
  const asTensor = (values: Float32Array) => tf.tensor3d(values, [1, positions, hiddenSize])
  const [input, ...outputs] = tf.tidy(() => {
    // A probe is a zero added to a layer's output: its gradient is that of the output.
    const probes = modules.map(({ shape }) => tf.zeros([1, positions, shape[0]]))
    const run = (x: TfTensor, ...probes: TfTensor[]) =>
      block(config, weights, i, x, {
        linear(name, _x, base) {
          return base().add(probes[modules.findIndex(m => m.name === name)])
        },
      })
    return tf.grads(run)([asTensor(x), ...probes], asTensor(dy))
  })
  const result = {
    input: input.dataSync() as Float32Array,
    outputs: new Map(modules.map(({ name, shape }, m) => [name, outputs[m].reshape([positions, shape[0]])])),
  }
  tf.dispose([input, ...outputs])
  return result
}

export interface HeadGradients {
  /** Gradient at the head's input, `[positions · hidden]`. */
  readonly input: Float32Array
  /** Mean predicted probability of each token. */
  readonly chances: Float32Array
}

/**
 * Gradient of −log p(token sampled from the model) at the head's input: its outer products are the model's Fisher
 * information (methods §11, two-sided feedback).
 */
export function headGradients(
  config: TransformerConfig,
  weights: Weights,
  x: Float32Array,
  random: Random,
): HeadGradients {
  const { hiddenSize, vocabSize } = config
  const positions = x.length / hiddenSize
  let chances = new Float32Array(0)
  const input = valuesOf(() => {
    const input = tf.tensor3d(x, [1, positions, hiddenSize])
    const predicted = tf.softmax(head(config, weights, input).reshape([positions, vocabSize]))
    chances = Float32Array.from(predicted.mean(0).dataSync())
    const picked = sampled(predicted.dataSync() as Float32Array, positions, random)
    const labels = tf.tensor1d(picked, 'int32')
    const loss = (x: TfTensor) =>
      crossEntropy(head(config, weights, x).reshape([positions, vocabSize]), labels).sum()
    return tf.grad(loss)(input)
  })
  return { input, chances }
}

/** One index per row of probabilities. */
function sampled(chances: Float32Array, rows: number, { uniform }: Random): Int32Array {
  const cols = chances.length / rows
  return Int32Array.from({ length: rows }, (_, r) => {
    let left = uniform()
    for (let c = 0; c < cols; c++) {
      left -= chances[r * cols + c]
      if (left < 0) return c
    }
    return cols - 1
  })
}
