// Causal attention over a cache of keys and values, both `[positions, kvHeads, headDim]`.
import { arg, floatArg, share } from './job'
import { exp4, madd, sum4, sums } from './simd'

/** scores[i] = scale · q · k_i for `count` keys that are `step` bytes apart; padded to 4 with −3e38. */
function scoreKeys(q: usize, k: usize, step: usize, count: i32, dim: usize, scale: f32, scores: usize): v128 {
  const factor = f32x4.splat(scale)
  let top = f32x4.splat(-3e38)
  let i = 0
  for (; i + 4 <= count; i += 4) {
    const k1 = k + step
    const k2 = k1 + step
    const k3 = k2 + step
    let a0 = f32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    for (let d: usize = 0; d < dim; d += 16) {
      const v = v128.load(q + d)
      a0 = madd(v128.load(k + d), v, a0)
      a1 = madd(v128.load(k1 + d), v, a1)
      a2 = madd(v128.load(k2 + d), v, a2)
      a3 = madd(v128.load(k3 + d), v, a3)
    }
    const s = f32x4.mul(sums(a0, a1, a2, a3), factor)
    top = f32x4.pmax(top, s)
    v128.store(scores + ((<usize>i) << 2), s)
    k = k3 + step
  }
  if (i === count) return top
  v128.store(scores + ((<usize>i) << 2), f32x4.splat(-3e38))
  const tail = scores + ((<usize>i) << 2)
  for (; i < count; i++) {
    let a = f32x4.splat(0)
    for (let d: usize = 0; d < dim; d += 16) a = madd(v128.load(k + d), v128.load(q + d), a)
    store<f32>(scores + ((<usize>i) << 2), sum4(a) * scale)
    k += step
  }
  return f32x4.pmax(top, v128.load(tail))
}

/** score = cap · tanh(score / cap); returns what that makes of `top`. */
function squash(scores: usize, count: i32, top: v128, cap: f32): v128 {
  const limit = f32x4.splat(cap)
  const factor = f32x4.splat(2 / cap)
  for (let i = 0; i < count; i += 4) {
    const at = scores + ((<usize>i) << 2)
    v128.store(at, squashed(v128.load(at), limit, factor))
  }
  // The padding of the last four must not count.
  for (let i = count; i & 3; i++) store<f32>(scores + ((<usize>i) << 2), -3e38)
  return squashed(top, limit, factor)
}

/** limit · tanh(x / limit) = limit · (1 − 2 / (1 + e^(factor · x))), factor = 2 / limit. */
// @ts-expect-error: decorator
@inline
function squashed(x: v128, limit: v128, factor: v128): v128 {
  const one = f32x4.splat(1)
  const e = exp4(f32x4.mul(x, factor))
  return f32x4.mul(limit, f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(one, e))))
}

/** The highest of four, four times. */
// @ts-expect-error: decorator
@inline
function highest(top: v128): v128 {
  top = f32x4.pmax(top, v128.shuffle<i32>(top, top, 2, 3, 0, 1))
  return f32x4.pmax(top, v128.shuffle<i32>(top, top, 1, 0, 3, 2))
}

/** Softmax without its division; returns what to divide by (the padding adds less than 1e-37). */
function exponentials(scores: usize, count: i32, top: v128): f32 {
  let total = f32x4.splat(0)
  for (let i = 0; i < count; i += 4) {
    const e = exp4(f32x4.sub(v128.load(scores + ((<usize>i) << 2)), top))
    v128.store(scores + ((<usize>i) << 2), e)
    total = f32x4.add(total, e)
  }
  return sum4(total)
}

/** out[0 … 16·n) = Σ_i p_i · v_i / total. */
function mixValues(p: usize, v: usize, step: usize, count: i32, dim: usize, total: f32, out: usize): void {
  const factor = f32x4.splat(1 / total)
  let d: usize = 0
  for (; d + 64 <= dim; d += 64) {
    let a0 = f32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let at = v + d
    for (let i = 0; i < count; i++) {
      const weight = v128.load_splat<f32>(p + ((<usize>i) << 2))
      a0 = madd(v128.load(at), weight, a0)
      a1 = madd(v128.load(at, 16), weight, a1)
      a2 = madd(v128.load(at, 32), weight, a2)
      a3 = madd(v128.load(at, 48), weight, a3)
      at += step
    }
    v128.store(out + d, f32x4.mul(a0, factor))
    v128.store(out + d, f32x4.mul(a1, factor), 16)
    v128.store(out + d, f32x4.mul(a2, factor), 32)
    v128.store(out + d, f32x4.mul(a3, factor), 48)
  }
  for (; d < dim; d += 16) {
    let a = f32x4.splat(0)
    let at = v + d
    for (let i = 0; i < count; i++) {
      a = madd(v128.load(at), v128.load_splat<f32>(p + ((<usize>i) << 2)), a)
      at += step
    }
    v128.store(out + d, f32x4.mul(a, factor))
  }
}

/**
 * Arguments: q, keys, values, out, tokens, heads, kvHeads, headDim (a multiple of 4), position of the first token,
 * window (0: none; else how many positions a token sees, itself included), scale, soft limit of the scores (0: none),
 * scores, floats of scores per thread, a score of each head that nothing is read for (0: none).
 */
export function attentionPart(part: i32, parts: i32): void {
  const tokens = arg(4)
  const heads = arg(5)
  const kvHeads = arg(6)
  const dim = (<usize>arg(7)) << 2
  const window = arg(9)
  const softcap = floatArg(11)
  const scores = <usize>arg(12) + <usize>part * ((<usize>arg(13)) << 2)
  const sinks = <usize>arg(14)
  const step = <usize>kvHeads * dim
  const perKey = heads / kvHeads
  const last = share(heads * tokens, part + 1, parts)
  for (let unit = share(heads * tokens, part, parts); unit < last; unit++) {
    const head = unit / tokens
    const token = unit % tokens
    const end = arg(8) + token + 1
    const from = window > 0 ? max(0, end - window) : 0
    const count = end - from
    const offset = <usize>from * step + <usize>(head / perKey) * dim
    const at = <usize>(token * heads + head) * dim
    let top = scoreKeys(<usize>arg(0) + at, <usize>arg(1) + offset, step, count, dim, floatArg(10), scores)
    if (softcap > 0) top = squash(scores, count, top, softcap)
    if (sinks !== 0) top = f32x4.pmax(top, v128.load_splat<f32>(sinks + ((<usize>head) << 2)))
    top = highest(top)
    let total = exponentials(scores, count, top)
    if (sinks !== 0) {
      const sink = f32x4.sub(v128.load_splat<f32>(sinks + ((<usize>head) << 2)), top)
      total += f32x4.extract_lane(exp4(sink), 0)
    }
    mixValues(scores, <usize>arg(2) + offset, step, count, dim, total, <usize>arg(3) + at)
  }
}
