import type { GradConfig, KernelConfig, NamedTensorMap } from '@tensorflow/tfjs'
import { type TfTensor, tf } from './tf.ts'

/**
 * The few operations that tfjs has no complete or no economical gradient for on some backend, as kernels of our own:
 * row lookup and cross-entropy. Gradients are lazy: a frozen operand costs nothing in the backward pass.
 */
interface Op {
  readonly name: string
  readonly saved: string[]
  forward(inputs: Inputs, attrs: Attributes): TfTensor
  gradient(dy: TfTensor, saved: TfTensor[], attrs: Attributes): Record<string, () => TfTensor>
}
type Inputs = Record<string, TfTensor>
type Attributes = { readonly rows?: number }

const registered = new Set<string>()

function run(op: Op, inputs: Inputs, attrs: Attributes): TfTensor {
  const backendName = tf.getBackend()
  if (!registered.has(op.name)) {
    registered.add(op.name)
    tf.registerGradient({
      kernelName: op.name,
      inputsToSave: op.saved,
      gradFunc: ((dy: TfTensor, saved: TfTensor[], attrs: Attributes) =>
        op.gradient(dy, saved, attrs)) as GradConfig['gradFunc'],
    })
  }
  if (!registered.has(`${op.name} ${backendName}`)) {
    registered.add(`${op.name} ${backendName}`)
    tf.registerKernel({
      kernelName: op.name,
      backendName,
      kernelFunc: (({ inputs, attrs }: { inputs: Inputs; attrs: Attributes }) =>
        tf.tidy(() => op.forward(inputs, attrs))) as unknown as KernelConfig['kernelFunc'],
    })
  }
  return tf.engine().runKernel(op.name, inputs as NamedTensorMap, { ...attrs }) as TfTensor
}

/**
 * A linear layer, `y = x Wᵀ`: x `[…, in]`, w `[out, in]` → `[…, out]`. Differentiable in both.
 *
 * @example
 * const y = linear(tf.ones([2, 5, 576]), tf.ones([1536, 576])) // [2, 5, 1536]
 */
export function linear(x: TfTensor, w: TfTensor): TfTensor {
  const [out, width] = w.shape
  const y = tf.matMul(x.reshape([-1, width]), w, false, true)
  return y.reshape([...x.shape.slice(0, -1), out])
}

const embeddingOp: Op = {
  name: 'ReallmEmbedding',
  saved: ['ids'],
  forward: ({ table, ids }) => tf.gather(table, ids as TfTensor),
  gradient: (dy, [ids], { rows }) => ({
    table: () => {
      const width = dy.shape.at(-1)!
      return tf.scatterND(ids.reshape([-1, 1]), dy.reshape([-1, width]), [rows!, width])
    },
    ids: () => tf.zerosLike(ids),
  }),
}

/** Rows of `table` `[vocabulary, width]` named by int32 `ids` `[…]` → `[…, width]`. Differentiable in the table. */
export const embedding = (table: TfTensor, ids: TfTensor): TfTensor =>
  run(embeddingOp, { table, ids }, { rows: table.shape[0] })

const crossEntropyOp: Op = {
  name: 'ReallmCrossEntropy',
  saved: ['logits', 'labels'],
  forward: ({ logits, labels }) => tf.sub(tf.logSumExp(logits, -1), tf.gatherND(logits, places(labels))),
  gradient: (dy, [logits, labels]) => ({
    logits: () =>
      tf.add(
        tf.mul(tf.softmax(logits), dy.expandDims(-1)),
        tf.scatterND(places(labels), tf.neg(dy), logits.shape as [number, number]),
      ),
    labels: () => tf.zerosLike(labels),
  }),
}

const places = (labels: TfTensor) => tf.stack([tf.range(0, labels.size, 1, 'int32'), labels], 1)

/**
 * Negative log-likelihood, in nats, of each row's label: logits `[rows, vocabulary]`, int32 labels `[rows]` → `[rows]`.
 * Differentiable in the logits.
 */
export const crossEntropy = (logits: TfTensor, labels: TfTensor): TfTensor =>
  run(crossEntropyOp, { logits, labels }, {})

/**
 * `x` itself; in the backward pass `onGradient` sees its gradient, which lives for the call only.
 *
 * @example
 * const hooks = { linear: (module, x, base) => tap(base(), g => gather(module, g)) }
 */
export const tap = (x: TfTensor, onGradient: (gradient: TfTensor) => void): TfTensor =>
  tf.customGrad(value => ({
    value: (value as TfTensor).clone(),
    gradFunc: (dy: TfTensor) => {
      onGradient(dy)
      return dy.clone()
    },
  }))(x)
