import type { Random } from '@reallm/tensor-io'
import {
  block,
  crossEntropy,
  finalNorm,
  type Head,
  linear,
  logits,
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

/** Labels of the predictions that `logits` `[positions, vocabulary]` are of, the first of which is the sequence's `from`th. */
export type LabelsOf = (logits: TfTensor, from: number) => Int32Array

/** Positions whose predictions are looked at together: each has as many as the vocabulary. */
const headPositions = 32

/**
 * Gradient of Σ −log p(label) at the head's input `x`, `[positions · streamWidth]`. Of labels sampled from the model its outer products are
 * the model's Fisher information (methods §11, two-sided feedback).
 */
export async function headGradients(
  config: TransformerConfig,
  head: Head,
  x: Float32Array,
  labelsOf: LabelsOf,
): Promise<Float32Array> {
  const width = streamWidth(config)
  const positions = x.length / width
  const gradient = new Float32Array(x.length)
  const each = head.positions ?? headPositions
  for (let from = 0; from < positions; from += each) {
    const count = Math.min(each, positions - from)
    const some = tf.tensor2d(x.subarray(from * width, (from + count) * width), [count, width])
    const predicted = await head.logits(some)
    const losses: TfTensor[] = []
    for (let row = 0; row < count; row += headPositions) {
      const part = tf.slice(predicted, [row, 0], [Math.min(headPositions, count - row), config.vocabSize])
      const labels = labelsOf(part, from + row)
      const loss = (y: TfTensor) => crossEntropy(y, tf.tensor1d(labels, 'int32')).sum() as TfTensor
      losses.push(tf.tidy(() => tf.grad(loss)(part) as TfTensor))
      part.dispose()
    }
    predicted.dispose()
    const atLogits = tf.concat(losses) as TfTensor
    tf.dispose(losses)
    const found = await behindHead(config, head, some, atLogits)
    tf.dispose([some, atLogits])
    gradient.set(
      valuesOf(() => found),
      from * width,
    )
  }
  return gradient
}

/** The gradient at the head's input `x`, `[positions, streamWidth]`, of what has the gradient `dy` at its logits. */
export async function behindHead(
  config: TransformerConfig,
  head: Head,
  x: TfTensor,
  dy: TfTensor,
): Promise<TfTensor> {
  const normed = (x: TfTensor) => finalNorm(config, head.norm, x.expandDims(0)) as TfTensor
  const input = tf.tidy(() => normed(x))
  const atProducts = await throughScale(config, head, input, dy)
  let sum: TfTensor | undefined
  await head.eachPiece((piece, from) => {
    const before = sum
    sum = tf.tidy(() => {
      const part = atProducts.slice([0, 0, from], [1, -1, piece.shape[0]!])
      const found = tf.grad((x: TfTensor) => linear(x, piece))(input, part) as TfTensor
      return before ? (before.add(found) as TfTensor) : found
    })
    before?.dispose()
  })
  const found = tf.tidy(() => tf.grad(normed)(x, sum!) as TfTensor)
  tf.dispose([input, atProducts, sum!])
  return found
}

/** From the gradient at logits to the one at the head's products, `[1, positions, vocabulary]`: they differ where logits are scaled. */
async function throughScale(
  config: TransformerConfig,
  head: Head,
  input: TfTensor,
  dy: TfTensor,
): Promise<TfTensor> {
  if (config.logitScale === 1 && config.logitSoftcap === undefined) return tf.expandDims(dy, 0) as TfTensor
  const products: TfTensor[] = []
  await head.eachPiece(piece => products.push(tf.tidy(() => linear(input, piece))))
  const found = tf.tidy(
    () =>
      tf.grad((y: TfTensor) => logits(config, y))(
        tf.concat(products, 2) as TfTensor,
        dy.expandDims(0),
      ) as TfTensor,
  )
  tf.dispose(products)
  return found
}

/** Samples labels from the predictions at `positions`, and adds the means of their probabilities to `chances` `[vocabulary]`. */
export const sampledLabels =
  (random: Random, chances: Float32Array, positions: number): LabelsOf =>
  logits => {
    let labels = new Int32Array()
    const sums = valuesOf(() => {
      const predicted = tf.softmax(logits)
      labels = sampled(predicted.dataSync() as Float32Array, logits.shape[0]!, random)
      return predicted.sum(0)
    })
    for (let v = 0; v < chances.length; v++) chances[v] += sums[v] / positions
    return labels
  }

function positionsOf(config: TransformerConfig, x: Float32Array): TfTensor {
  const width = streamWidth(config)
  return tf.tensor3d(x, [1, x.length / width, width])
}

/** One index per row of probabilities. */
function sampled(chances: Float32Array, rows: number, { uniform }: Random): Int32Array<ArrayBuffer> {
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
