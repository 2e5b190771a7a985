import { type TfTensor, tf } from '@reallm/transformer'

/** One linear layer with its trained parts. */
export interface TunedLinear {
  /** W `[out, in]`, frozen. */
  readonly weight: TfTensor
  /** A `[rank, in]` and B `[out, rank]`. */
  readonly a: TfTensor
  readonly b: TfTensor
  readonly scaling: number
  /** A factor for each output, `[out]`, none of them zero. */
  readonly factors?: TfTensor | undefined
}

type Save = (tensors: TfTensor[]) => void

/**
 * `y = g ⊙ (x Wᵀ + s · (x Aᵀ) Bᵀ)`: x `[…, in]` → `[…, out]`. Differentiable in x, A, B and g; the backward pass keeps
 * x, x Aᵀ and, for g, y.
 */
export function tunedLinear(x: TfTensor, { weight, a, b, scaling, factors }: TunedLinear): TfTensor {
  const [out, width] = weight.shape
  const inputs = factors ? [a, b, factors] : [a, b]
  const y = tf.customGrad((...given: unknown[]) => {
    const save = given.pop() as Save
    const [x, a, b, g] = given as [TfTensor, TfTensor, TfTensor, TfTensor | undefined]
    const u = tf.matMul(x, a, false, true).mul(scaling) as TfTensor
    const sum = tf.matMul(x, weight, false, true).add(tf.matMul(u, b, false, true)) as TfTensor
    const value = g ? (sum.mul(g) as TfTensor) : sum
    save(g ? [x, a, b, u, g, value] : [x, a, b, u])
    return { value, gradFunc: (dy: TfTensor, saved: TfTensor[]) => tf.tidy(() => backward(dy, saved)) }
  })(x.reshape([-1, width]), ...inputs)
  return y.reshape([...x.shape.slice(0, -1), out])

  function backward(dy: TfTensor, [x, a, b, u, g, y]: TfTensor[]): TfTensor[] {
    const dSum = g ? dy.mul(g) : dy
    const du = tf.matMul(dSum, b).mul(scaling) as TfTensor
    const dx = tf.matMul(dSum, weight).add(tf.matMul(du, a)) as TfTensor
    const gradients = [dx, tf.matMul(du, x, true, false), tf.matMul(dSum, u, true, false)]
    return g ? [...gradients, dy.mul(y).sum(0).div(g)] : gradients
  }
}

/** `y = g ⊙ (x Wᵀ)`, W frozen: the backward pass of x and g keeps y alone. */
export function rowScaledLinear(x: TfTensor, weight: TfTensor, factors: TfTensor): TfTensor {
  const [out, width] = weight.shape
  const y = tf.customGrad((...given: unknown[]) => {
    const [x, g, save] = given as [TfTensor, TfTensor, Save]
    const value = tf.matMul(x, weight, false, true).mul(g) as TfTensor
    save([g, value])
    const gradFunc = (dy: TfTensor, [g, y]: TfTensor[]) =>
      tf.tidy(() => [tf.matMul(dy.mul(g), weight) as TfTensor, dy.mul(y).sum(0).div(g) as TfTensor])
    return { value, gradFunc }
  })(x.reshape([-1, width]), factors)
  return y.reshape([...x.shape.slice(0, -1), out])
}
