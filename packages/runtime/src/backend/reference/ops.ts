import { erf } from '@reallm/kernels/reference'
import { type Activation, type Attention, type GatedMlp, rotations } from '@reallm/tensor-io/models'
import { clampedProduct } from '../clamped-product.ts'
import type { Attend, NormOp } from '../op.ts'
import type { Vector, Weight } from '../weight.ts'

/** What a backend has in memory. */
type Holding = Set<{ readonly bytes: number }>

/** A matrix as floats. */
export class ReferenceWeight implements Weight {
  readonly rows: number
  readonly cols: number
  readonly data: Float32Array
  readonly #holding: Holding

  constructor(holding: Holding, rows: number, cols: number, data: Float32Array) {
    this.rows = rows
    this.cols = cols
    this.data = data
    this.#holding = holding.add(this)
  }

  get bytes(): number {
    return this.data.byteLength
  }

  get multiplyAdds(): number {
    return this.rows * this.cols
  }

  [Symbol.dispose](): void {
    this.#holding.delete(this)
  }
}

export class ReferenceVector implements Vector {
  readonly data: Float32Array
  readonly #holding: Holding

  constructor(holding: Holding, data: Float32Array) {
    this.data = data
    this.#holding = holding.add(this)
  }

  get length(): number {
    return this.data.length
  }

  get bytes(): number {
    return this.data.byteLength
  }

  [Symbol.dispose](): void {
    this.#holding.delete(this)
  }
}

export const dataOf = (held: Weight | Vector): Float32Array =>
  (held as ReferenceWeight | ReferenceVector).data

/** Row `index` of a matrix, times `scale`. */
export const row = (w: Weight, index: number, scale: number): Float32Array =>
  dataOf(w)
    .slice(index * w.cols, (index + 1) * w.cols)
    .map(v => scale * v)

/** `x Wᵀ + bias`, `[tokens, rows]`. */
export function linear(x: Float32Array, w: Weight, bias: Vector | undefined): Float32Array {
  const { rows, cols } = w
  const weights = dataOf(w)
  const tokens = x.length / cols
  const y = new Float32Array(tokens * rows)
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0
      for (let c = 0; c < cols; c++) sum += x[t * cols + c] * weights[r * cols + c]
      y[t * rows + r] = sum + (bias ? dataOf(bias)[r] : 0)
    }
  }
  return y
}

/** RMS norm of each `weight.length` values. */
export function rmsNorm(x: Float32Array, { weight, eps }: NormOp): Float32Array {
  const factors = dataOf(weight)
  return plainNorm(x, weight.length, eps).map((v, i) => v * factors[i % weight.length])
}

/** Each `width` values divided by their root mean square. */
function plainNorm(x: Float32Array, width: number, eps: number): Float32Array {
  const y = new Float32Array(x.length)
  for (let from = 0; from < x.length; from += width) {
    let squares = 0
    for (let i = 0; i < width; i++) squares += x[from + i] ** 2
    const scale = 1 / Math.sqrt(squares / width + eps)
    for (let i = 0; i < width; i++) y[from + i] = x[from + i] * scale
  }
  return y
}

const activations: Readonly<Record<Activation, (x: number) => number>> = {
  silu: x => x / (1 + Math.exp(-x)),
  gelu_pytorch_tanh: x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  gelu: x => 0.5 * x * (1 + erf(x / Math.SQRT2)),
}

/** `activation(gate) · up` */
export const gatedProduct = (gate: Float32Array, up: Float32Array, activation: Activation): Float32Array =>
  gate.map((g, i) => activations[activation](g) * up[i])

/** The gated product of an MLP, clamped where its spec says so. */
export function gated(gate: Float32Array, up: Float32Array, { activation, clamp }: GatedMlp): Float32Array {
  if (!clamp) return gatedProduct(gate, up, activation)
  return gate.map((g, i) => clampedProduct(g, up[i], clamp))
}

/** Keys and values of a layer, a row for each position. */
export interface LayerCache {
  readonly keys: Float32Array[]
  readonly values: Float32Array[]
}

/** Where tokens are: the first of them, and the positions of the whole text. */
export interface Place {
  readonly first: number
  readonly length: number
}

/** What the heads read, `[tokens, heads · headDim]`; keys and values are appended to the cache. */
export function attend(
  { spec, norms, sinks }: Attend,
  [query, key, value]: readonly [Float32Array, Float32Array, Float32Array],
  cache: LayerCache,
  { first, length }: Place,
): Float32Array {
  const { heads, kvHeads, headDim, valueNormEps } = spec
  const [asked, gate] = spec.gated ? apart(query, headDim) : [query, undefined]
  const place = (x: Float32Array, count: number, norm: NormOp | undefined, queries: boolean) => {
    const before = norm && !spec.qkNorm?.afterRope ? rmsNorm(x, norm) : x
    const turned = rope(before, spec, { first, length, heads: count, queries })
    return norm && spec.qkNorm?.afterRope ? rmsNorm(turned, norm) : turned
  }
  const q = place(asked, heads, norms?.query, true)
  const k = place(key, kvHeads, norms?.key, false)
  const v = valueNormEps === undefined ? value : plainNorm(value, headDim, valueNormEps)
  const width = kvHeads * headDim
  for (let at = 0; at < k.length; at += width) {
    cache.keys.push(k.slice(at, at + width))
    cache.values.push(v.slice(at, at + width))
  }
  const out = readCache(spec, q, cache, first, sinks && dataOf(sinks))
  return gate ? out.map((v, i) => v / (1 + Math.exp(-gate[i]))) : out
}

/** What queries that have their places read of keys and values, the first being that of position `first`. */
export function readCache(
  spec: Pick<Attention, 'heads' | 'kvHeads' | 'headDim' | 'window' | 'scale'> &
    Partial<Pick<Attention, 'softcap'>>,
  q: Float32Array,
  cache: LayerCache,
  first: number,
  sinks?: Float32Array,
): Float32Array {
  const { heads, kvHeads, headDim, window, softcap, scale } = spec
  const tokens = q.length / (heads * headDim)
  const out = new Float32Array(q.length)
  for (let t = 0; t < tokens; t++) {
    const last = first + t
    const from = window === undefined ? 0 : Math.max(0, last - window + 1)
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * headDim
      const kv = Math.floor(h / (heads / kvHeads)) * headDim
      const scores: number[] = []
      for (let p = from; p <= last; p++) {
        let dot = 0
        for (let i = 0; i < headDim; i++) dot += q[at + i] * cache.keys[p][kv + i]
        scores.push(softcap === undefined ? scale * dot : softcap * Math.tanh((scale * dot) / softcap))
      }
      const sink = sinks ? sinks[h] : -Infinity
      const most = Math.max(...scores, sink)
      const weights = scores.map(score => Math.exp(score - most))
      const total = weights.reduce((sum, weight) => sum + weight, Math.exp(sink - most))
      for (const [p, weight] of weights.entries()) {
        const row = cache.values[from + p]
        for (let i = 0; i < headDim; i++) out[at + i] += (weight / total) * row[kv + i]
      }
    }
  }
  return out
}

/** Every other `width` values, and those between them. */
function apart(x: Float32Array, width: number): [Float32Array, Float32Array] {
  const ofSide = (side: number) =>
    Float32Array.from(
      { length: x.length / 2 },
      (_, i) => x[(2 * Math.floor(i / width) + side) * width + (i % width)],
    )
  return [ofSide(0), ofSide(1)]
}

interface Turning extends Place {
  readonly heads: number
  readonly queries: boolean
}

/** Rotary embedding of each head. */
export function rope(
  x: Float32Array,
  { rope, headDim }: Pick<Attention, 'rope' | 'headDim'>,
  { first, length, heads, queries }: Turning,
): Float32Array {
  if (!rope) return x
  const pairs = rope.inverseFrequencies.length
  const count = x.length / (heads * headDim)
  const [cos, sin] = [new Float32Array(count * pairs), new Float32Array(count * pairs)]
  rotations(rope, { first, count, length, queries }, cos, sin)
  const y = x.slice()
  for (let n = 0; n < count * heads; n++) {
    const t = Math.floor(n / heads)
    for (let j = 0; j < pairs; j++) {
      const a = n * headDim + (rope.interleaved ? 2 * j : j)
      const b = n * headDim + (rope.interleaved ? 2 * j + 1 : j + pairs)
      const [c, s] = [cos[t * pairs + j], sin[t * pairs + j]]
      y[a] = x[a] * c - x[b] * s
      y[b] = x[b] * c + x[a] * s
    }
  }
  return y
}
