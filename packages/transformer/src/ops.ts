import type { GradConfig, NamedTensorMap } from '@tensorflow/tfjs-core'
import { type TfTensor, tf } from './tf.ts'

/**
 * The operations that tfjs has no complete or no economical gradient for on some backend, as kernels of our own.
 * Each holds for its backward pass what it takes in, and nothing of what it computes on the way. Gradients are lazy:
 * a frozen operand costs nothing in the backward pass.
 */
interface Op {
  readonly name: string
  readonly saved: string[]
  forward(inputs: Inputs, attrs: Attributes): TfTensor
  gradient(dy: TfTensor, saved: TfTensor[], attrs: Attributes): Record<string, () => TfTensor>
}
type Inputs = Record<string, TfTensor>
type Attributes = { readonly rows?: number; readonly epsilon?: number }

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
      kernelFunc: ({ inputs, attrs }) => tf.tidy(() => op.forward(inputs as Inputs, attrs as Attributes)),
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
  const [out, width] = w.shape as [number, number]
  const flat = x.reshape([-1, width])
  const [rows] = flat.shape
  // The native product packs all of its right side for a few rows of its left: the larger one belongs on the left.
  const isTall = tf.getBackend() === 'tensorflow' && rows > 1 && 2 * rows <= out
  const y = isTall
    ? tf.tidy(() => tf.matMul(w, flat, false, true).transpose())
    : tf.matMul(flat, w, false, true)
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

const rmsNormOp: Op = {
  name: 'ReallmRmsNorm',
  saved: ['x', 'weight'],
  forward: ({ x, weight }, { epsilon }) => x.mul(inverseRms(x, epsilon!)).mul(weight),
  gradient: (dy, [x, weight], { epsilon }) => ({
    x: () => {
      const inverse = inverseRms(x, epsilon!)
      const [direction, g] = [x.mul(inverse), dy.mul(weight)]
      return g.sub(direction.mul(direction.mul(g).mean(-1, true))).mul(inverse)
    },
    weight: () =>
      dy
        .mul(x.mul(inverseRms(x, epsilon!)))
        .reshape([-1, weight.size])
        .sum(0),
  }),
}

const inverseRms = (x: TfTensor, epsilon: number) => x.square().mean(-1, true).add(epsilon).rsqrt()

/** `x / √(mean x² + epsilon) · weight` over the last axis; weight `[width]`. Differentiable in both. */
export const rmsNorm = (x: TfTensor, weight: TfTensor, epsilon: number): TfTensor =>
  run(rmsNormOp, { x, weight }, { epsilon })

const swigluOp: Op = {
  name: 'ReallmSwiGlu',
  saved: ['gate', 'up'],
  forward: ({ gate, up }) => gate.sigmoid().mul(gate).mul(up),
  gradient: (dy, [gate, up]) => ({
    gate: () => {
      const s = gate.sigmoid()
      return tf.sub(1, s).mul(gate).add(1).mul(s).mul(up).mul(dy)
    },
    up: () => gate.sigmoid().mul(gate).mul(dy),
  }),
}

/** `silu(gate) · up`, element by element. Differentiable in both. */
export const swiglu = (gate: TfTensor, up: TfTensor): TfTensor => run(swigluOp, { gate, up }, {})

const rotateOp: Op = {
  name: 'ReallmRotate',
  saved: ['cos', 'sin'],
  forward: ({ x, cos, sin }) => turned(x, cos, sin),
  gradient: (dy, [cos, sin]) => ({
    x: () => turned(dy, cos, tf.neg(sin)),
    cos: () => tf.zerosLike(cos),
    sin: () => tf.zerosLike(sin),
  }),
}

function turned(x: TfTensor, cos: TfTensor, sin: TfTensor): TfTensor {
  const [a, b] = tf.split(x, 2, -1)
  return tf.concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1)
}

/**
 * Turns dimension j of each head with dimension j + headDim/2: x `[…, length, headDim]`, cos and sin
 * `[length, headDim / 2]`. Differentiable in x.
 */
export const rotate = (x: TfTensor, cos: TfTensor, sin: TfTensor): TfTensor =>
  run(rotateOp, { x, cos, sin }, {})

/** What `attend` does to the scores, `[groups, rows, keys]` → the same, before the softmax. */
export interface Scores {
  /** Soft limit on their size: `limit · tanh(score / limit)`. */
  readonly softcap: number | undefined
  /** One more score for each row, `[groups, rows, 1]`, that takes its share and gives nothing. */
  readonly sinks?: TfTensor | undefined
  /** Hides what a query must not see. */
  hide(scores: TfTensor): TfTensor
}

/**
 * Attention of queries `[groups, rows, headDim]` (scaled) to keys and values `[groups, keys, headDim]` → `[groups, rows,
 * headDim]`. Differentiable in all three and in the sinks; the backward pass keeps the shares, `[groups, rows, keys]`, and
 * no other tensor of their size.
 */
export function attend(q: TfTensor, k: TfTensor, v: TfTensor, { softcap, sinks, hide }: Scores): TfTensor {
  const products = (q: TfTensor, k: TfTensor) => tf.matMul(q, k, false, true)
  const limited = (q: TfTensor, k: TfTensor) => tf.tanh(products(q, k).div(softcap!))
  const inputs = sinks ? [q, k, v, sinks] : [q, k, v]
  return tf.customGrad((...given: unknown[]) => {
    const save = given.pop() as (tensors: TfTensor[]) => void
    const [q, k, v, sinks] = given as [TfTensor, TfTensor, TfTensor, TfTensor | undefined]
    const scores = softcap === undefined ? products(q, k) : limited(q, k).mul(softcap)
    const shares = sharesOf(hide(scores), sinks)
    save([q, k, v, shares])
    return {
      value: tf.matMul(shares, v),
      gradFunc: (dy: TfTensor, [q, k, v, shares]: TfTensor[]) =>
        tf.tidy(() => {
          const dShares = tf.matMul(dy, v, false, true)
          const mean = dShares.mul(shares).sum(-1, true)
          let dScores = dShares.sub(mean).mul(shares)
          if (softcap !== undefined) dScores = dScores.mul(tf.sub(1, limited(q, k).square()))
          const gradients = [
            tf.matMul(dScores, k),
            tf.matMul(dScores, q, true, false),
            tf.matMul(shares, dy, true, false),
          ]
          if (sinks) gradients.push(mean.mul(shares.sum(-1, true).sub(1)) as TfTensor)
          return gradients
        }),
    }
  })(...inputs)
}

/** Softmax over the scores and, where there is one, the sink of each row. */
function sharesOf(scores: TfTensor, sinks: TfTensor | undefined): TfTensor {
  if (!sinks) return tf.softmax(scores)
  const { shape } = scores as { shape: [number, number, number] }
  return tf.softmax(tf.concat([scores, sinks], -1)).slice([0, 0, 0], shape)
}
