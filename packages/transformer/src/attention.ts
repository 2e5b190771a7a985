import {
  type Attention,
  type Norm,
  type Rope,
  rotations,
  type SharedAttention,
} from '@reallm/tensor-io/models'
import { type ForwardOptions, normalise, projectAll, type Weights, weightOf } from './modules.ts'
import { attend, rmsNorm, rotate } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/** Queries that attend at one time. */
const attentionChunk = 128

/** What attention gives: what its heads read, and its keys and values, `[batch, positions, heads · headDim]`. */
export interface Attended {
  readonly read: TfTensor
  readonly keys: TfTensor
  readonly values: TfTensor
}

/** The heads of layer `i`, `[batch, positions, hidden]` → `[batch, positions, heads · headDim]`. */
export function attention(
  spec: Attention,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): Attended {
  const { heads, kvHeads, headDim, qkNorm, rope, valueNormEps } = spec
  const [batch, length] = x.shape as [number, number]
  const turn = rope && turning(rope, options.cache?.length(i) ?? 0, length)
  const [asked, keys, values] = projectAll(weights, [spec.query, spec.key, spec.value], x, options)
  const [queries, gate] = spec.gated
    ? tf.split(asked.reshape([batch, length, heads, 2 * headDim]), 2, 3)
    : [asked, undefined]
  const placing = { headDim, afterRope: qkNorm?.afterRope ?? false, turn, weights }
  const q = placed(queries, heads, qkNorm?.query, true, placing)
  const k = placed(keys, kvHeads, qkNorm?.key, false, placing)
  const heard = byHead(values, kvHeads, headDim)
  const v = valueNormEps === undefined ? heard : rmsNorm(heard, tf.ones([headDim]), valueNormEps)
  const read = attendTo(spec, i, [q, k, v], weights, options)
  const flat = (x: TfTensor) => x.transpose([0, 2, 1, 3]).reshape([batch, length, -1])
  return {
    read: gate ? flat(read.mul(gate.transpose([0, 2, 1, 3]).sigmoid())) : flat(read),
    keys: flat(k),
    values: flat(v),
  }
}

/** The same to `keys` and `values` of an earlier layer. */
export function sharedAttention(
  spec: SharedAttention,
  i: number,
  weights: Weights,
  x: TfTensor,
  [keys, values]: readonly [TfTensor, TfTensor],
  options: ForwardOptions,
): TfTensor {
  const { heads, kvHeads, headDim, queryNorm, rope } = spec
  const [batch, length] = x.shape as [number, number]
  const turn = rope && turning(rope, options.cache?.length(i) ?? 0, length)
  const [queries] = projectAll(weights, [spec.query], x, options)
  const q = placed(queries, heads, queryNorm, true, { headDim, afterRope: false, turn, weights })
  const [k, v] = [keys, values].map(x => byHead(x, kvHeads, headDim))
  const read = attendTo({ ...spec, softcap: undefined, sinks: undefined }, i, [q, k, v], weights, options)
  return read.transpose([0, 2, 1, 3]).reshape([batch, length, heads * headDim])
}

interface Placing {
  readonly headDim: number
  readonly afterRope: boolean
  readonly turn: ((x: TfTensor, queries: boolean) => TfTensor) | undefined
  readonly weights: Weights
}

/** `[batch, positions, count · headDim]` → `[batch, count, positions, headDim]` */
const byHead = (y: TfTensor, count: number, headDim: number): TfTensor =>
  y.reshape([y.shape[0], y.shape[1]!, count, headDim]).transpose([0, 2, 1, 3])

/** Queries or keys with their norm and rotary embedding, `[batch, count, positions, headDim]`. */
function placed(
  y: TfTensor,
  count: number,
  norm: Norm | undefined,
  queries: boolean,
  { headDim, afterRope, turn, weights }: Placing,
): TfTensor {
  const [batch, length] = y.shape as [number, number]
  const normed = norm && !afterRope ? normalise(weights, norm, y.reshape([batch, length, -1, norm.width])) : y
  const split = byHead(normed, count, headDim)
  const turned = turn ? turn(split, queries) : split
  return norm && afterRope ? normalise(weights, norm, turned) : turned
}

type Heads = Pick<Attention, 'heads' | 'kvHeads' | 'headDim' | 'scale' | 'softcap' | 'window' | 'sinks'>

/** What queries read of keys and values, and of those of the cache, `[batch, heads, positions, headDim]` each. */
function attendTo(
  spec: Heads,
  i: number,
  [queries, keys, values]: readonly [TfTensor, TfTensor, TfTensor],
  weights: Weights,
  options: ForwardOptions,
): TfTensor {
  const { heads, kvHeads, headDim, scale, softcap, window } = spec
  const [batch, , length] = queries.shape as [number, number, number]
  const past = options.cache?.length(i) ?? 0
  const q = queries.mul(scale)
  let k = keys.reshape([batch * kvHeads, length, headDim])
  let v = values.reshape([batch * kvHeads, length, headDim])
  if (options.cache) [k, v] = options.cache.append(i, k, v)

  // By chunks of queries, each with the keys that it may see: most of what lies ahead is never computed.
  const seen = (x: TfTensor, keys: number) =>
    keys === x.shape[1] ? x : x.slice([0, 0, 0], [batch * kvHeads, keys, headDim])
  const chunks: TfTensor[] = []
  for (let from = 0; from < length; from += attentionChunk) {
    const rows = Math.min(attentionChunk, length - from)
    const keys = past + from + rows
    // The heads that share one key-value head are rows of one product: [batch · kvHeads, group · rows, headDim].
    const attended = tf.tidy(() => {
      const chunk = rows === length ? q : q.slice([0, 0, from, 0], [batch, heads, rows, headDim])
      const grouped = chunk.reshape([batch * kvHeads, -1, headDim])
      return attend(grouped, seen(k, keys), seen(v, keys), {
        softcap,
        sinks:
          spec.sinks === undefined
            ? undefined
            : sinksOf(weightOf(weights, spec.sinks.name), spec, batch, rows),
        hide: scores => hide(scores, rows, past + from, window),
      })
    })
    chunks.push(attended.reshape([batch, heads, rows, headDim]))
  }
  return chunks.length === 1 ? chunks[0] : tf.concat(chunks, 2)
}

/** The sink of each row of scores, `[batch · kvHeads, heads of the group · rows, 1]`, of those of the heads. */
function sinksOf(sinks: TfTensor, { heads, kvHeads }: Heads, batch: number, rows: number): TfTensor {
  const grouped = sinks.reshape([1, kvHeads, heads / kvHeads, 1])
  return tf.tile(grouped, [batch, 1, 1, rows]).reshape([batch * kvHeads, -1, 1])
}

/** Turns queries or keys `[batch, heads, length, headDim]` of the positions from `past` on. */
function turning(rope: Rope, past: number, length: number): (x: TfTensor, queries: boolean) => TfTensor {
  const pairs = rope.inverseFrequencies.length
  const angles = (queries: boolean) => {
    const [cos, sin] = [new Float32Array(length * pairs), new Float32Array(length * pairs)]
    rotations(rope, { first: past, count: length, length: past + length, queries }, cos, sin)
    return [tf.tensor(cos, [length, pairs]), tf.tensor(sin, [length, pairs])] as const
  }
  const ofKeys = angles(false)
  const ofQueries = rope.temperature ? angles(true) : ofKeys
  return (x, queries) => {
    const [batch, heads, , width] = x.shape as [number, number, number, number]
    // Products of queries and keys stay the same when the dimensions of both change places.
    const apart = (x: TfTensor) =>
      rope.interleaved
        ? x.reshape([batch, heads, length, pairs, 2]).transpose([0, 1, 2, 4, 3]).reshape(x.shape)
        : x
    const rotated = (x: TfTensor) => rotate(apart(x), ...(queries ? ofQueries : ofKeys))
    if (2 * pairs === width) return rotated(x)
    const [turned, rest] = tf.split(x, [2 * pairs, width - 2 * pairs], -1)
    return tf.concat([rotated(turned), rest], -1)
  }
}

/**
 * Hides from each query what comes after it, and what lies `window` or more positions before it; scores
 * `[groups, heads of the group · length, all positions]`.
 */
function hide(scores: TfTensor, length: number, past: number, window: number | undefined): TfTensor {
  const all = scores.shape[2]!
  if (length === 1 && (window === undefined || all <= window)) return scores
  const ahead = tf.range(0, all).sub(tf.range(past, past + length).expandDims(1))
  let hidden = ahead.greater(0)
  if (window !== undefined && all > window) hidden = tf.logicalOr(hidden, ahead.lessEqual(-window))
  const mask = hidden.cast('float32').mul(-1e9)
  return scores.reshape([-1, length, all]).add(mask).reshape(scores.shape)
}
