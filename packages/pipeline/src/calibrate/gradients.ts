import type { Random } from '@reallm/tensor-io'
import {
  block,
  crossEntropy,
  head,
  streamWidth,
  type TfTensor,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'
import type { Fisher } from './statistics.ts'

/** What the backward pass over one layer gives, on one sequence. Linear layers that no position reaches are left out. */
export interface BlockGradients {
  /** Gradient at the layer's input, `[positions · streamWidth]`. */
  readonly input: Float32Array
  /** Gradient at the output of each linear layer, `[positions, out]`; the caller disposes of them. */
  readonly outputs: ReadonlyMap<string, TfTensor>
  /** What goes into each linear layer, `[positions, in]`; the caller disposes of them. */
  readonly inputs: ReadonlyMap<string, TfTensor>
  /** Means over rows' and columns' entries of the squared gradient of each linear layer's weight; where asked for. */
  readonly squares: ReadonlyMap<string, Fisher>
}

/**
 * Takes the gradient `dy` at layer `i`'s output back to its input and to the outputs of its linear layers.
 *
 * @param squared gives `squares` of the weights' gradients too
 */
export function blockGradients(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: Float32Array,
  dy: Float32Array,
  squared = false,
): BlockGradients {
  const inputs = new Map<string, TfTensor>()
  const gradients = new Map<string, TfTensor>()
  const rowsOf = (x: TfTensor) => tf.keep(x.reshape([-1, x.shape.at(-1)!]).clone()) as TfTensor
  const input = valuesOf(() => {
    const run = (x: TfTensor) =>
      block(config, weights, i, x, {
        linear(name, x, base) {
          inputs.set(name, rowsOf(x))
          return seen(base(), dy => void gradients.set(name, rowsOf(dy)))
        },
      })
    return tf.grad(run)(positionsOf(config, x), positionsOf(config, dy))
  })
  // In running order, not on the way back.
  const outputs = new Map([...inputs.keys()].map(name => [name, gradients.get(name)!]))
  const squares = new Map(
    squared ? [...inputs].map(([name, x]) => [name, squaredMeans(outputs.get(name)!, x)]) : [],
  )
  return { input, outputs, inputs, squares }
}

/** `y` itself, whose gradient `see` gets on the way back; it lives for the call only. */
const seen = (y: TfTensor, see: (dy: TfTensor) => void): TfTensor =>
  tf.customGrad((...given: unknown[]) => ({
    value: (given[0] as TfTensor).clone(),
    gradFunc: (dy: TfTensor) => {
      see(dy)
      return dy.clone()
    },
  }))(y)

/** Means of the squares of `gᵀx` `[out, in]`, the gradient of a weight. */
function squaredMeans(g: TfTensor, x: TfTensor): Fisher {
  const square = tf.tidy(() => tf.matMul(g.transpose(), x).square())
  const [rows, cols] = [1, 0].map(axis => valuesOf(() => square.mean(axis)).slice())
  square.dispose()
  return { rows, cols }
}

/** What a model predicts on a sequence. */
export interface Predicted {
  /** A token sampled from each prediction. */
  readonly labels: Int32Array
  /** Mean predicted probability of each token. */
  readonly chances: Float32Array
}

/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const headPositions = 32

/** Samples from the predictions at the head's input `x` `[positions · hidden]`. */
export function predictedTokens(
  config: TransformerConfig,
  weights: Weights,
  x: Float32Array,
  random: Random,
): Predicted {
  const width = streamWidth(config)
  const positions = x.length / width
  const labels = new Int32Array(positions)
  const chances = new Float32Array(config.vocabSize)
  for (let from = 0; from < positions; from += headPositions) {
    const some = x.subarray(from * width, (from + headPositions) * width)
    const sums = valuesOf(() => {
      const predicted = tf.softmax(logits(config, weights, positionsOf(config, some)))
      labels.set(sampled(predicted.dataSync() as Float32Array, predicted.shape[0]!, random), from)
      return predicted.sum(0)
    })
    for (let v = 0; v < chances.length; v++) chances[v] += sums[v] / positions
  }
  return { labels, chances }
}

/**
 * Gradient of Σ −log p(label) at the head's input `x`, `[positions · hidden]`; 0 at positions after the last label. Of
 * labels sampled from the model its outer products are the model's Fisher information (methods §11, two-sided feedback).
 */
export function headGradients(
  config: TransformerConfig,
  weights: Weights,
  x: Float32Array,
  labels: Int32Array,
): Float32Array {
  const width = streamWidth(config)
  const gradient = new Float32Array(x.length)
  for (let from = 0; from < labels.length; from += headPositions) {
    const wanted = labels.subarray(from, from + headPositions)
    const some = x.subarray(from * width, (from + wanted.length) * width)
    const found = valuesOf(() => {
      const loss = (x: TfTensor) =>
        crossEntropy(logits(config, weights, x), tf.tensor1d(wanted, 'int32')).sum()
      return tf.grad(loss)(positionsOf(config, some))
    })
    gradient.set(found, from * width)
  }
  return gradient
}

function positionsOf(config: TransformerConfig, x: Float32Array): TfTensor {
  const width = streamWidth(config)
  return tf.tensor3d(x, [1, x.length / width, width])
}

/** `[positions, vocabulary]` */
const logits = (config: TransformerConfig, weights: Weights, x: TfTensor): TfTensor =>
  head(config, weights, x).reshape([-1, config.vocabSize])

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
