import { type TfTensor, tf } from './tf.ts'

/**
 * What a linear recurrence is made of. Heads share queries and keys in groups: `groups` is batch times the number of groups,
 * `heads` the heads of each.
 */
export interface Recurrence {
  /** `[groups, positions, keyDim]` */
  readonly queries: TfTensor
  readonly keys: TfTensor
  /** `[groups, heads, positions, valueDim]` */
  readonly values: TfTensor
  /** Logarithms of what is left of the state at each position, `[groups, heads, positions]`, none above 0. */
  readonly decay: TfTensor
  /** For the delta rule: how much of a value is written, `[groups, heads, positions]`. */
  readonly beta: TfTensor | undefined
  /** The state before the first position, `[groups · heads, keyDim, valueDim]`; zero unless given. */
  readonly state: TfTensor | undefined
}

export interface Recurred {
  /** `[groups, heads, positions, valueDim]` */
  readonly y: TfTensor
  readonly state: TfTensor
}

/** Positions that are computed by products of matrices at one time. */
const longestChunk = 64

/**
 * The recurrence `S ← e^decay · S; S ← S + k uᵀ; y = Sᵀ q` of each head, where `u` is the value or, by the delta rule,
 * `beta · (value − Sᵀ k)`. In chunks of positions, with one state between two chunks (arXiv 2405.21060, 2412.06464).
 * Differentiable in all inputs.
 */
export function recur({ queries, keys, values, decay, beta, state }: Recurrence): Recurred {
  const [groups, heads, length, valueDim] = values.shape as [number, number, number, number]
  const keyDim = keys.shape[2]!
  const size = Math.min(longestChunk, 2 ** Math.ceil(Math.log2(length)))
  const chunks = Math.ceil(length / size)
  const rows = chunks * size
  // Positions behind the last: nothing is written, nothing decays.
  const padded = (x: TfTensor, axis: number) =>
    rows === length
      ? x
      : tf.pad(x, x.shape.map((_, i) => [0, i === axis ? rows - length : 0]) as [number, number][])

  const [q, k] = [queries, keys].map(x => padded(x, 1))
  const v = padded(values, 2)
  const b = beta && padded(beta, 2).expandDims(3)
  const perChunk = padded(decay, 2).reshape([-1, size])
  const sums = tf.matMul(perChunk, lowerOnes(size), false, true).reshape([groups, heads, chunks, size])
  const whole = sums.slice([0, 0, 0, size - 1], [groups, heads, chunks, 1])
  const column = (x: TfTensor) => x.reshape([groups, heads, rows, 1])

  const mask = tf.sub(lowerOnes(size), 1).mul(1e9)
  const between = sums.expandDims(4).sub(sums.expandDims(3)).reshape([-1, size, size]).add(mask).exp()
  const scores = (x: TfTensor) => {
    const products = tf.matMul(x.reshape([-1, size, keyDim]), k.reshape([-1, size, keyDim]), false, true)
    return products.reshape([groups, 1, rows, size])
  }
  const among = between.reshape([groups, heads, rows, size])
  const read = scores(q).mul(among)
  const [q4, k4] = [q, k].map(x => x.expandDims(1))
  const opened = q4.mul(column(sums).exp())
  const closing = k4.mul(column(whole.sub(sums)).exp())

  let [written, erased]: [TfTensor, TfTensor | undefined] = [v, undefined]
  if (b) {
    const within = scores(k).mul(among).mul(b).reshape([-1, size, size])
    const solve = inverseUnitLower(within)
    const solved = (x: TfTensor) => tf.matMul(solve, x.reshape([-1, size, x.shape[3]!]))
    written = solved(v.mul(b))
    erased = solved(k4.mul(b).mul(column(sums).exp()))
  }

  // [groups · heads, chunks, …], chunk by chunk.
  const chunked = (x: TfTensor) => {
    const width = x.size / (groups * heads * rows)
    const all = x.reshape([groups * heads, chunks, size, width])
    const one = (c: number) =>
      chunks === 1
        ? all.reshape([groups * heads, size, width])
        : all.slice([0, c, 0, 0], [groups * heads, 1, size, width]).reshape([groups * heads, size, width])
    return one
  }
  const left = whole.exp().reshape([groups * heads, chunks, 1])
  const parts = { read: chunked(read), opened: chunked(opened), closing: chunked(closing) }
  const [news, olds] = [chunked(written), erased && chunked(erased)]
  let s = state ?? tf.zeros([groups * heads, keyDim, valueDim])
  const outputs: TfTensor[] = []
  for (let c = 0; c < chunks; c++) {
    const u = olds ? news(c).sub(tf.matMul(olds(c), s)) : news(c)
    outputs.push(tf.matMul(parts.opened(c), s).add(tf.matMul(parts.read(c), u)))
    const kept = left.slice([0, c, 0], [groups * heads, 1, 1])
    s = s.mul(kept).add(tf.matMul(parts.closing(c), u, true, false))
  }
  const y = (outputs.length === 1 ? outputs[0] : tf.concat(outputs, 1)).reshape([
    groups,
    heads,
    rows,
    valueDim,
  ])
  return { y: rows === length ? y : y.slice([0, 0, 0, 0], [groups, heads, length, valueDim]), state: s }
}

/** Ones on and below the diagonal, `[size, size]`. */
const lowerOnes = (size: number): TfTensor => {
  const places = tf.range(0, size)
  return places.expandDims(1).greaterEqual(places).cast('float32')
}

/**
 * The inverse of `I + L`, where `L` is the part of `x` `[n, size, size]` below the diagonal and `size` a power of two, by
 * halves: as stable as forward substitution. Differentiable.
 */
export function inverseUnitLower(x: TfTensor): TfTensor {
  return tf.customGrad((...given: unknown[]) => {
    const [x, save] = given as [TfTensor, (tensors: TfTensor[]) => void]
    const value = tf.tidy(() => inverse(x))
    save([value])
    return {
      value,
      gradFunc: (dy: TfTensor, [inverted]: TfTensor[]) =>
        tf.tidy(() => {
          const size = inverted.shape[1]!
          const below = lowerOnes(size).sub(tf.eye(size))
          const inner = tf.matMul(tf.matMul(inverted, dy, true, false), inverted, false, true)
          return inner.mul(below).neg()
        }),
    }
  })(x)
}

function inverse(x: TfTensor): TfTensor {
  const [n, size] = x.shape as [number, number]
  if (size === 1) return tf.onesLike(x)
  const half = size / 2
  const quarter = (row: number, col: number) => x.slice([0, row * half, col * half], [n, half, half])
  const [first, last] = tf.split(inverse(tf.concat([quarter(0, 0), quarter(1, 1)], 0)), 2, 0)
  const corner = tf.matMul(tf.matMul(last, quarter(1, 0)), first).neg()
  return tf.concat([tf.concat([first, tf.zerosLike(first)], 2), tf.concat([corner, last], 2)], 1)
}
