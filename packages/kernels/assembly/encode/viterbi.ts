// Shortest paths through a bit-shift trellis in 16-bit integers, eight states at a time.
//
// A state's predecessors are g, g + groups, g + 2·groups, … with g = state >> k: the least cost of each g is an
// element-wise minimum of 2^k stretches of the cost vector, and the choice is a byte per g. A step's cost is
// (lut[state] − x)², values scaled to int16 and the square to 15 bits, of 2 or 8 times the difference at rates above 2
// or 4 bits. Costs are kept relative to the least one, saturate, and 65535 stands for "no path".
// Rates come as four times the bits per weight: weight t appends ⌊(t+1)·rate/4⌋ − ⌊t·rate/4⌋ bits.
// The reference implementation does the same arithmetic, so both choose the same path.
import { arg, floatArg, share } from '../inference/job'

const NO_PATH: i32 = 65535

/** Bytes of scratch of one thread: two cost vectors, the choices of every step, values and weights of a sequence. */
export function viterbiScratch(size: i32, bits: i32, length: i32): usize {
  return (<usize>size << 2) + <usize>length * <usize>(size >> bits) + (<usize>length << 3) + 64
}

/** Eight states: least cost of their predecessors plus the cost of their value. */
// @ts-expect-error: decorator
@inline
function eight(to: usize, least: v128, lut: usize, x: v128, weight: v128, doublings: i32, weighted: bool): void {
  let d = i16x8.sub_sat_s(v128.load(lut), x)
  if (doublings > 0) d = i16x8.add_sat_s(d, d)
  if (doublings > 1) {
    d = i16x8.add_sat_s(d, d)
    d = i16x8.add_sat_s(d, d)
  }
  d = i16x8.q15mulr_sat_s(d, d)
  if (weighted) d = i16x8.q15mulr_sat_s(d, weight)
  v128.store(to, i16x8.add_sat_u(least, d))
}

/** The 2^bits states that follow the same one. */
// @ts-expect-error: decorator
@inline
function all(bits: i32, to: usize, least: v128, lut: usize, x: v128, weight: v128, doublings: i32, weighted: bool): void {
  eight(to, least, lut, x, weight, doublings, weighted)
  if (bits > 3) eight(to + 16, least, lut + 16, x, weight, doublings, weighted)
  if (bits < 5) return
  for (let v: usize = 32; v < <usize>2 << bits; v += 16) {
    eight(to + v, least, lut + v, x, weight, doublings, weighted)
  }
}

/** One step of all states; returns the least cost before it, relative to `base`. */
// @ts-expect-error: decorator
@inline
function step(
  bits: i32, doublings: i32, weighted: bool, cost: usize, next: usize, lut: usize, choices: usize, groups: i32, x: v128, weight: v128,
  base: v128,
): v128 {
  const stretch = <usize>groups << 1
  const end = cost + stretch
  let least = i16x8.splat(-1)
  for (; cost < end; cost += 16, choices += 8) {
    let m = v128.load(cost)
    let other = v128.load(cost + stretch)
    m = i16x8.min_u(m, other)
    let choice = v128.and(i16x8.eq(m, other), i16x8.splat(1))
    if (bits === 2) {
      other = v128.load(cost + 2 * stretch)
      m = i16x8.min_u(m, other)
      choice = i16x8.max_s(choice, v128.and(i16x8.eq(m, other), i16x8.splat(2)))
      other = v128.load(cost + 3 * stretch)
      m = i16x8.min_u(m, other)
      choice = i16x8.max_s(choice, v128.and(i16x8.eq(m, other), i16x8.splat(3)))
    } else if (bits > 2) {
      let at = cost + stretch
      for (let j = 2; j < 1 << bits; j++) {
        at += stretch
        other = v128.load(at)
        m = i16x8.min_u(m, other)
        choice = i16x8.max_s(choice, v128.and(i16x8.eq(m, other), i16x8.splat(<i16>j)))
      }
    }
    v128.store64_lane(choices, i8x16.narrow_i16x8_u(choice, choice), 0)
    m = v128.or(i16x8.sub_sat_u(m, base), i16x8.eq(m, i16x8.splat(-1)))
    least = i16x8.min_u(least, m)
    const low = v128.shuffle<i16>(m, m, 0, 0, 1, 1, 2, 2, 3, 3)
    const high = v128.shuffle<i16>(m, m, 4, 4, 5, 5, 6, 6, 7, 7)
    if (bits === 1) {
      eight(next, low, lut, x, weight, doublings, weighted)
      eight(next + 16, high, lut + 16, x, weight, doublings, weighted)
    } else if (bits === 2) {
      eight(next, v128.shuffle<i32>(low, low, 0, 0, 1, 1), lut, x, weight, doublings, weighted)
      eight(next + 16, v128.shuffle<i32>(low, low, 2, 2, 3, 3), lut + 16, x, weight, doublings, weighted)
      eight(next + 32, v128.shuffle<i32>(high, high, 0, 0, 1, 1), lut + 32, x, weight, doublings, weighted)
      eight(next + 48, v128.shuffle<i32>(high, high, 2, 2, 3, 3), lut + 48, x, weight, doublings, weighted)
    } else {
      const n: usize = <usize>2 << bits
      all(bits, next, v128.shuffle<i32>(low, low, 0, 0, 0, 0), lut, x, weight, doublings, weighted)
      all(bits, next + n, v128.shuffle<i32>(low, low, 1, 1, 1, 1), lut + n, x, weight, doublings, weighted)
      all(bits, next + 2 * n, v128.shuffle<i32>(low, low, 2, 2, 2, 2), lut + 2 * n, x, weight, doublings, weighted)
      all(bits, next + 3 * n, v128.shuffle<i32>(low, low, 3, 3, 3, 3), lut + 3 * n, x, weight, doublings, weighted)
      all(bits, next + 4 * n, v128.shuffle<i32>(high, high, 0, 0, 0, 0), lut + 4 * n, x, weight, doublings, weighted)
      all(bits, next + 5 * n, v128.shuffle<i32>(high, high, 1, 1, 1, 1), lut + 5 * n, x, weight, doublings, weighted)
      all(bits, next + 6 * n, v128.shuffle<i32>(high, high, 2, 2, 2, 2), lut + 6 * n, x, weight, doublings, weighted)
      all(bits, next + 7 * n, v128.shuffle<i32>(high, high, 3, 3, 3, 3), lut + 7 * n, x, weight, doublings, weighted)
    }
    const written = <usize>16 << bits
    next += written
    lut += written
  }
  return least
}

/** The least of eight unsigned lanes in all lanes. */
function leastLane(v: v128): v128 {
  v = i16x8.min_u(v, v128.shuffle<i16>(v, v, 4, 5, 6, 7, 0, 1, 2, 3))
  v = i16x8.min_u(v, v128.shuffle<i16>(v, v, 2, 3, 0, 1, 6, 7, 4, 5))
  return i16x8.min_u(v, v128.shuffle<i16>(v, v, 1, 0, 3, 2, 5, 4, 7, 6))
}

/** Bits that weight `t` appends. */
// @ts-expect-error: decorator
@inline
function stepBits(t: i32, rate: i32): i32 {
  return (((t + 1) * rate) >> 2) - ((t * rate) >> 2)
}

/** `step` above 4 bits per weight, where differences are small: rare, so that it is there once. */
function fineStep(
  bits: i32, weighted: bool, cost: usize, next: usize, lut: usize, to: usize, groups: i32, x: v128, weight: v128, base: v128,
): v128 {
  return step(bits, 2, weighted, cost, next, lut, to, groups, x, weight, base)
}

/** `step` with its constants: bits appended, and doublings of differences by rate. */
// @ts-expect-error: decorator
@inline
function stepAt(
  bits: i32, rate: i32, weighted: bool, cost: usize, next: usize, lut: usize, to: usize, groups: i32, x: v128, weight: v128,
  base: v128,
): v128 {
  if (rate > 16) return fineStep(bits, weighted, cost, next, lut, to, groups, x, weight, base)
  if (bits === 1) return step(1, 0, weighted, cost, next, lut, to, groups, x, weight, base)
  if (bits === 3) return step(3, 1, weighted, cost, next, lut, to, groups, x, weight, base)
  if (bits === 4) return step(4, 1, weighted, cost, next, lut, to, groups, x, weight, base)
  if (rate > 8) return step(2, 1, weighted, cost, next, lut, to, groups, x, weight, base)
  return step(2, 0, weighted, cost, next, lut, to, groups, x, weight, base)
}

/** Largest difference that a step's cost can tell from larger ones; at low rates every one that there is. */
function largestTold(rate: i32): i32 {
  return rate > 16 ? 4095 : rate > 8 ? 16383 : 65535
}

/**
 * Finds the path of `length` scaled values; with `overlap` ≥ 0 it begins after and ends in that overlap. False where there
 * is none, or where it has a difference larger than `told`, whose cost is too low.
 */
function search(
  x: usize, w: usize, length: i32, rate: i32, lut: usize, size: i32, scratch: usize, path: usize, overlap: i32, told: i32,
): bool {
  const most = size >> (rate >> 2)
  let cost = scratch
  let next = cost + (<usize>size << 1)
  const choices = next + (<usize>size << 1)
  for (let s = 0; s < size; s++) {
    const open = overlap < 0 || (s & (most - 1)) === overlap
    store<u16>(cost + (<usize>s << 1), open ? 0 : NO_PATH)
  }
  let base = i16x8.splat(0)
  for (let t = 0; t < length; t++) {
    const value = v128.load_splat<i16>(x + (<usize>t << 1))
    const to = choices + <usize>t * <usize>most
    const bits = stepBits(t, rate)
    const groups = size >> bits
    let least: v128
    if (w === 0) {
      least = stepAt(bits, rate, false, cost, next, lut, to, groups, value, value, base)
    } else {
      const weight = v128.load_splat<i16>(w + (<usize>t << 1))
      least = stepAt(bits, rate, true, cost, next, lut, to, groups, value, weight, base)
    }
    base = leastLane(least)
    const spare = cost
    cost = next
    next = spare
  }
  let state = 0
  let least = NO_PATH
  const stride = overlap < 0 ? 1 : most
  for (let s = overlap < 0 ? 0 : overlap; s < size; s += stride) {
    const c = <i32>load<u16>(cost + (<usize>s << 1))
    if (c < least) {
      least = c
      state = s
    }
  }
  if (least === NO_PATH) return false
  for (let t = length - 1; t >= 0; t--) {
    const at = <usize>t << 1
    store<u16>(path + at, state)
    const difference = abs(<i32>load<i16>(lut + (<usize>state << 1)) - <i32>load<i16>(x + at))
    if (difference > told && (w === 0 || load<i16>(w + at) !== 0)) return false
    const bits = stepBits(t, rate)
    const g = state >> bits
    state = g + <i32>load<u8>(choices + <usize>t * <usize>most + <usize>g) * (size >> bits)
  }
  return true
}

/** `count` floats times `scale` (and clamped to ±`limit`) to int16, `from` and on, cyclically. */
function scaled(x: usize, from: i32, count: i32, length: i32, scale: f32, limit: f32, to: usize): void {
  for (let i = 0; i < count; i++, to += 2) {
    let at = from + i
    if (at >= length) at -= length
    const v = max(-limit, min(limit, nearest(load<f32>(x + (<usize>at << 2)) * scale)))
    store<i16>(to, <i16>v)
  }
}

function largest(x: usize, count: i32): f32 {
  let most: f32 = 0
  for (let i = 0; i < count; i++) most = max(most, abs(load<f32>(x + (<usize>i << 2))))
  return most
}

/**
 * Arguments: values, weights (0: none), sequences, length, rate, int16 lut, states, scale of the lut, tail-biting,
 * paths (uint16), scratch, the lut again with an eighth of the scale. Threads take whole sequences.
 */
export function viterbiPart(part: i32, parts: i32, thread: i32): void {
  const sequences = arg(2)
  const length = arg(3)
  const rate = arg(4)
  const bits = rate >> 2
  const lut = <usize>arg(5)
  const coarse = <usize>arg(11)
  const size = arg(6)
  const scale = floatArg(7)
  const tailBiting = arg(8) !== 0
  const scratch = <usize>arg(10) + <usize>thread * ((viterbiScratch(size, bits, length) + 63) & ~63)
  const x = (scratch + (<usize>size << 2) + <usize>length * <usize>(size >> bits) + 15) & ~15
  const w = x + (<usize>length << 1)
  const weighted = arg(1) !== 0
  const half = min(length >> 1, 8 * ((ctz(size) + bits - 1) / bits))
  for (let i = share(sequences, part, parts); i < share(sequences, part + 1, parts); i++) {
    const skip = <usize>i * <usize>length
    const values = <usize>arg(0) + (skip << 2)
    const weights = <usize>arg(1) + (skip << 2)
    const path = <usize>arg(9) + (skip << 1)
    const most = weighted ? largest(weights, length) : 1
    const weightScale: f32 = most > 0 ? 32767 / most : 0
    const used = weighted ? w : 0
    let overlap = -1
    if (tailBiting) {
      scaled(values, length - half, 2 * half, length, scale, 32767, x)
      if (weighted) scaled(weights, length - half, 2 * half, length, weightScale, 32767, w)
      search(x, used, 2 * half, rate, lut, size, scratch, path, -1, 65535)
      overlap = <i32>load<u16>(path + (<usize>(half - 1) << 1)) & ((size >> bits) - 1)
    }
    scaled(values, 0, length, length, scale, 32767, x)
    if (weighted) scaled(weights, 0, length, length, weightScale, 32767, w)
    if (search(x, used, length, rate, lut, size, scratch, path, overlap, largestTold(rate))) continue
    scaled(values, 0, length, length, scale / 8, 4096, x)
    search(x, used, length, rate, coarse, size, scratch, path, overlap, 65535)
  }
}
