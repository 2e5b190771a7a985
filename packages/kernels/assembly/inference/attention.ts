// Causal attention over a cache of keys and values, both `[positions, kvHeads, headDim]`.
import { arg, floatArg, share } from './job'
import { exp4, madd, squashed, sum4, sums } from './simd'

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

/**
 * The scores of `count` keys, a multiple of 4, for two queries, to the bits of `scoreKeys`: each key is read once, and eight sums
 * instead of four keep the multipliers busy.
 */
function scoreKeysTwice(
  q: usize, q2: usize, k: usize, step: usize, count: i32, dim: usize, scale: f32, scores: usize, scores2: usize,
): void {
  const factor = f32x4.splat(scale)
  for (let i: usize = 0; i < <usize>count << 2; i += 16) {
    const k1 = k + step
    const k2 = k1 + step
    const k3 = k2 + step
    let a0 = f32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let b0 = a0
    let b1 = a0
    let b2 = a0
    let b3 = a0
    for (let d: usize = 0; d < dim; d += 16) {
      const u = v128.load(q + d)
      const v = v128.load(q2 + d)
      let key = v128.load(k + d)
      a0 = madd(key, u, a0)
      b0 = madd(key, v, b0)
      key = v128.load(k1 + d)
      a1 = madd(key, u, a1)
      b1 = madd(key, v, b1)
      key = v128.load(k2 + d)
      a2 = madd(key, u, a2)
      b2 = madd(key, v, b2)
      key = v128.load(k3 + d)
      a3 = madd(key, u, a3)
      b3 = madd(key, v, b3)
    }
    v128.store(scores + i, f32x4.mul(sums(a0, a1, a2, a3), factor))
    v128.store(scores2 + i, f32x4.mul(sums(b0, b1, b2, b3), factor))
    k = k3 + step
  }
}

/** The highest of `count` scores, a multiple of 4, and of `top`. */
function highestOf(scores: usize, count: i32, top: v128): v128 {
  for (let i: usize = 0; i < <usize>count << 2; i += 16) top = f32x4.pmax(top, v128.load(scores + i))
  return top
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
 * `mixValues` of `count` values for one token and of one more for the next, to the bits of `mixValues`; `dim` is a multiple of 64
 * bytes. Each value is read once.
 */
function mixValuesTwice(
  p: usize, p2: usize, v: usize, step: usize, count: i32, dim: usize, total: f32, total2: f32, out: usize, out2: usize,
): void {
  const factor = f32x4.splat(1 / total)
  const factor2 = f32x4.splat(1 / total2)
  for (let d: usize = 0; d < dim; d += 64) {
    let a0 = f32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let b0 = a0
    let b1 = a0
    let b2 = a0
    let b3 = a0
    let at = v + d
    for (let i: usize = 0; i < <usize>count << 2; i += 4) {
      const weight = v128.load_splat<f32>(p + i)
      const weight2 = v128.load_splat<f32>(p2 + i)
      let value = v128.load(at)
      a0 = madd(value, weight, a0)
      b0 = madd(value, weight2, b0)
      value = v128.load(at, 16)
      a1 = madd(value, weight, a1)
      b1 = madd(value, weight2, b1)
      value = v128.load(at, 32)
      a2 = madd(value, weight, a2)
      b2 = madd(value, weight2, b2)
      value = v128.load(at, 48)
      a3 = madd(value, weight, a3)
      b3 = madd(value, weight2, b3)
      at += step
    }
    const weight = v128.load_splat<f32>(p2 + ((<usize>count) << 2))
    v128.store(out + d, f32x4.mul(a0, factor))
    v128.store(out + d, f32x4.mul(a1, factor), 16)
    v128.store(out + d, f32x4.mul(a2, factor), 32)
    v128.store(out + d, f32x4.mul(a3, factor), 48)
    v128.store(out2 + d, f32x4.mul(madd(v128.load(at), weight, b0), factor2))
    v128.store(out2 + d, f32x4.mul(madd(v128.load(at, 16), weight, b1), factor2), 16)
    v128.store(out2 + d, f32x4.mul(madd(v128.load(at, 32), weight, b2), factor2), 32)
    v128.store(out2 + d, f32x4.mul(madd(v128.load(at, 48), weight, b3), factor2), 48)
  }
}

/** Scores to their exponentials; returns what to divide by. `sink` is where a score lies that nothing is read for, or 0. */
function weigh(scores: usize, count: i32, top: v128, softcap: f32, sink: usize): f32 {
  if (softcap > 0) top = squash(scores, count, top, softcap)
  if (sink === 0) return exponentials(scores, count, highest(top))
  top = highest(f32x4.pmax(top, v128.load_splat<f32>(sink)))
  const total = exponentials(scores, count, top)
  return total + f32x4.extract_lane(exp4(f32x4.sub(v128.load_splat<f32>(sink), top)), 0)
}

/**
 * Arguments: q, keys, values, out, tokens, heads, kvHeads, headDim (a multiple of 4), position of the first token,
 * window (0: none; else how many positions a token sees, itself included), scale, soft limit of the scores (0: none),
 * scores, floats of scores of a token (each thread has two), a score of each head that nothing is read for (0: none).
 * Two tokens without a window are computed together.
 */
export function attentionPart(part: i32, parts: i32, thread: i32): void {
  const tokens = arg(4)
  const heads = arg(5)
  const kvHeads = arg(6)
  const dim = (<usize>arg(7)) << 2
  const window = arg(9)
  const scale = floatArg(10)
  const softcap = floatArg(11)
  const stride = (<usize>arg(13)) << 2
  const scores = <usize>arg(12) + ((<usize>thread * stride) << 1)
  const sinks = <usize>arg(14)
  const step = <usize>kvHeads * dim
  const next = <usize>heads * dim
  const perKey = heads / kvHeads
  const isPairing = window === 0 && (dim & 63) === 0
  const last = share(heads * tokens, part + 1, parts)
  for (let unit = share(heads * tokens, part, parts); unit < last; unit++) {
    const head = unit / tokens
    const token = unit % tokens
    const end = arg(8) + token + 1
    const from = window > 0 ? max(0, end - window) : 0
    const count = end - from
    const offset = <usize>from * step + <usize>(head / perKey) * dim
    const at = <usize>(token * heads + head) * dim
    const q = <usize>arg(0) + at
    const keys = <usize>arg(1) + offset
    const values = <usize>arg(2) + offset
    const out = <usize>arg(3) + at
    const sink: usize = sinks !== 0 ? sinks + ((<usize>head) << 2) : 0
    if (isPairing && unit + 1 < last && token + 1 < tokens) {
      const scores2 = scores + stride
      const whole = count & ~3
      const done = (<usize>whole) << 2
      scoreKeysTwice(q, q + next, keys, step, whole, dim, scale, scores, scores2)
      const rest = keys + <usize>whole * step
      const top = highestOf(scores, whole, scoreKeys(q, rest, step, count - whole, dim, scale, scores + done))
      const more = scoreKeys(q + next, rest, step, count + 1 - whole, dim, scale, scores2 + done)
      const total = weigh(scores, count, top, softcap, sink)
      const total2 = weigh(scores2, count + 1, highestOf(scores2, whole, more), softcap, sink)
      mixValuesTwice(scores, scores2, values, step, count, dim, total, total2, out, out + next)
      unit++
      continue
    }
    const top = scoreKeys(q, keys, step, count, dim, scale, scores)
    const total = weigh(scores, count, top, softcap, sink)
    mixValues(scores, values, step, count, dim, total, out)
  }
}
