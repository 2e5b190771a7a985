import { type Attention, type Norm, type Rope, rotations } from '@reallm/tensor-io/models'
import { type ForwardOptions, normalise, projectAll, type Weights, weightOf } from './modules.ts'
import { attend, rotate } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/** Queries that attend at one time. */
const attentionChunk = 128

/** What the heads of layer `i` read: `[batch, positions, hidden]` → `[batch, positions, heads · headDim]`. */
export function attention(
  spec: Attention,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const { heads, kvHeads, headDim, qkNorm, rope, scale, softcap, window } = spec
  const [batch, length] = x.shape as [number, number]
  const past = options.cache?.length(i) ?? 0
  const turn = rope && turning(rope, past, length)
  const [asked, keys, values] = projectAll(weights, [spec.query, spec.key, spec.value], x, options)
  const [queries, gate] = spec.gated
    ? tf.split(asked.reshape([batch, length, heads, 2 * headDim]), 2, 3)
    : [asked, undefined]
  const byHead = (y: TfTensor, count: number) =>
    y.reshape([batch, length, count, headDim]).transpose([0, 2, 1, 3])
  /** Queries or keys with their norm and rotary embedding, `[batch, count, positions, headDim]`. */
  const placed = (y: TfTensor, count: number, norm: Norm | undefined, queries: boolean) => {
    const after = qkNorm?.afterRope
    const normed = norm && !after ? normalise(weights, norm, y.reshape([batch, length, -1, norm.width])) : y
    const split = byHead(normed, count)
    const turned = turn ? turn(split, queries) : split
    return norm && after ? normalise(weights, norm, turned) : turned
  }
  const q = placed(queries, heads, qkNorm?.query, true).mul(scale)
  let k = placed(keys, kvHeads, qkNorm?.key, false).reshape([batch * kvHeads, length, headDim])
  let v = byHead(values, kvHeads).reshape([batch * kvHeads, length, headDim])
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
  const mixed = chunks.length === 1 ? chunks[0] : tf.concat(chunks, 2)
  const read = mixed.transpose([0, 2, 1, 3])
  return (gate ? read.mul(gate.sigmoid()) : read).reshape([batch, length, heads * headDim])
}

/** The sink of each row of scores, `[batch · kvHeads, heads of the group · rows, 1]`, of those of the heads. */
function sinksOf(sinks: TfTensor, { heads, kvHeads }: Attention, batch: number, rows: number): TfTensor {
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
