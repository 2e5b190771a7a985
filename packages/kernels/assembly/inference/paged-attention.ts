// Causal attention over keys and values of 8 bits, in pages of 128 positions.
//
// A page holds for each key-value head, D being headDim rounded up to 8:
//   keys    i8 [D / 2, 128, 2]   pairs of dimensions of each position
//   values  i8 [64, D, 2]        pairs of positions of each dimension
//   scales  f32 [2, 128]         of the keys and of the values of each position
// Both products are sums over pairs then, which `i32x4.dot_i16x8_s` takes; queries and weights have 16 bits.
import { arg, floatArg, share } from './job'
import { largest, largestOf, madd, nearest4, squashed, sum4, WHOLE } from './simd'

const PAGE: i32 = 128
/** Queries that are multiplied together. */
const TILE: i32 = 4
/** Tiles that read a page after each other, while it lies in the processor's caches. */
const TILES: i32 = 4
/** Bytes of a row of scores. */
const ROW: usize = 512
const MASKED: f32 = -3e38
const LOG2E: f32 = 1.44269504

// @ts-expect-error: decorator
@inline
function padded(dim: i32): i32 {
  return (dim + 7) & ~7
}

// @ts-expect-error: decorator
@inline
function headBytes(width: i32): usize {
  return <usize>(2 * PAGE * width + 8 * PAGE)
}

/** Four floats times a factor, to the nearest whole numbers. */
// @ts-expect-error: decorator
@inline
function whole(x: v128, factor: v128): v128 {
  return nearest4(f32x4.mul(x, factor))
}

/** Appends `tokens` keys and values, `[tokens, kvHeads, dim]`, from `position` on. */
export function appendToPages(
  k: usize,
  v: usize,
  pages: usize,
  tokens: i32,
  kvHeads: i32,
  dim: i32,
  position: i32,
): void {
  const width = padded(dim)
  for (let t = 0; t < tokens; t++) {
    const place = (position + t) & (PAGE - 1)
    let head = <usize>load<u32>(pages + ((<usize>((position + t) / PAGE)) << 2))
    for (let h = 0; h < kvHeads; h++) {
      const values = head + <usize>(PAGE * width)
      const scales = values + <usize>(PAGE * width) + ((<usize>place) << 2)
      // Pairs of dimensions lie a row of positions apart, pairs of positions a row of dimensions.
      store<f32>(scales, storeRow(k, head + ((<usize>place) << 1), dim, 1, <usize>(2 * PAGE)))
      const at = values + <usize>((place >> 1) * 2 * width + (place & 1))
      store<f32>(scales, storeRow(v, at, dim, 2, 4), ROW)
      k += (<usize>dim) << 2
      v += (<usize>dim) << 2
      head += headBytes(width)
    }
  }
}

/** Stores `dim` floats as bytes: pairs `pairStep` bytes apart, the second of a pair `step` after the first. Returns their scale. */
function storeRow(x: usize, to: usize, dim: i32, step: usize, pairStep: usize): f32 {
  const top = largest(x, dim)
  const factor = f32x4.splat(top > 0 ? 127 / top : 0)
  for (let d = 0; d < dim; d += 4) {
    const values = whole(v128.load(x), factor)
    store<i8>(to, i32x4.extract_lane(values, 0))
    store<i8>(to + step, i32x4.extract_lane(values, 1))
    store<i8>(to + pairStep, i32x4.extract_lane(values, 2))
    store<i8>(to + pairStep + step, i32x4.extract_lane(values, 3))
    to += 2 * pairStep
    x += 16
  }
  return top / 127
}

/** out[r, 0 … 8) = Σ over pairs of a[r] · b, for one row r. */
function multiplyOne(a: usize, b: usize, pairs: i32, step: usize, out: usize): void {
  let c0 = i32x4.splat(0)
  let c1 = c0
  for (let p = 0; p < pairs; p++) {
    const x = v128.load_splat<i32>(a)
    c0 = i32x4.add(c0, i32x4.dot_i16x8_s(v128.load_ext<i8>(b), x))
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(v128.load_ext<i8>(b, 8), x))
    a += 4
    b += step
  }
  v128.store(out, c0)
  v128.store(out, c1, 16)
}

/** The same for four rows, `lda` and `ROW` bytes apart. */
// @ts-expect-error: decorator
@inline
function multiplyFour(a: usize, lda: usize, b: usize, pairs: i32, step: usize, out: usize): void {
  let a0 = a
  let a1 = a0 + lda
  let a2 = a1 + lda
  let a3 = a2 + lda
  let c00 = i32x4.splat(0)
  let c01 = c00
  let c10 = c00
  let c11 = c00
  let c20 = c00
  let c21 = c00
  let c30 = c00
  let c31 = c00
  for (let p = 0; p < pairs; p++) {
    const low = v128.load_ext<i8>(b)
    const high = v128.load_ext<i8>(b, 8)
    const x0 = v128.load_splat<i32>(a0)
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(low, x0))
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(high, x0))
    const x1 = v128.load_splat<i32>(a1)
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(low, x1))
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(high, x1))
    const x2 = v128.load_splat<i32>(a2)
    c20 = i32x4.add(c20, i32x4.dot_i16x8_s(low, x2))
    c21 = i32x4.add(c21, i32x4.dot_i16x8_s(high, x2))
    const x3 = v128.load_splat<i32>(a3)
    c30 = i32x4.add(c30, i32x4.dot_i16x8_s(low, x3))
    c31 = i32x4.add(c31, i32x4.dot_i16x8_s(high, x3))
    a0 += 4
    a1 += 4
    a2 += 4
    a3 += 4
    b += step
  }
  v128.store(out, c00)
  v128.store(out, c01, 16)
  v128.store(out + ROW, c10)
  v128.store(out + ROW, c11, 16)
  v128.store(out + 2 * ROW, c20)
  v128.store(out + 2 * ROW, c21, 16)
  v128.store(out + 3 * ROW, c30)
  v128.store(out + 3 * ROW, c31, 16)
}

// @ts-expect-error: decorator
@inline
function multiply(rows: i32, a: usize, lda: usize, b: usize, pairs: i32, step: usize, out: usize): void {
  if (rows > 2) multiplyFour(a, lda, b, pairs, step, out)
  else {
    multiplyOne(a, b, pairs, step, out)
    if (rows > 1) multiplyOne(a + lda, b, pairs, step, out + ROW)
  }
}

/** Bytes of what `power4` reads: engines make constants of a loop again at each turn, in three steps each. */
const CONSTANTS: usize = 96

function storeConstants(at: usize): void {
  v128.store(at, f32x4.splat(-126))
  v128.store(at, f32x4.splat(WHOLE), 16)
  v128.store(at, f32x4.splat(5.500893210e-2), 32)
  v128.store(at, f32x4.splat(2.422109694e-1), 48)
  v128.store(at, f32x4.splat(6.932829281e-1), 64)
  v128.store(at, f32x4.splat(1), 80)
}

/** 2^x for four lanes that are at most 0: 2^n · polynomial, relative error 1e-4; exact for whole x. */
// @ts-expect-error: decorator
@inline
function power4(x: v128, constants: usize): v128 {
  const rounding = v128.load(constants, 16)
  // its bits are those of an exponent of 0
  const one = v128.load(constants, 80)
  x = f32x4.pmax(x, v128.load(constants))
  const shifted = f32x4.add(x, rounding)
  x = f32x4.sub(x, f32x4.sub(shifted, rounding))
  let p = madd(v128.load(constants, 32), x, v128.load(constants, 48))
  p = madd(p, x, v128.load(constants, 64))
  p = madd(p, x, one)
  return f32x4.mul(p, i32x4.add(i32x4.shl(shifted, 23), one))
}

/** 2^x for one number. */
// @ts-expect-error: decorator
@inline
function power(x: f32, constants: usize): f32 {
  return f32x4.extract_lane(power4(f32x4.splat(x), constants), 0)
}

/** Four whole products as scores. */
// @ts-expect-error: decorator
@inline
function scores4(row: usize, scales: usize, times: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(v128.load(row)), f32x4.mul(v128.load(scales), times))
}

/** Whole products of places `from` to `to` of a page, all seen, become scores in units of ln 2; the largest. */
function allScoresOf(row: usize, scales: usize, factor: f32, from: i32, to: i32): f32 {
  const times = f32x4.splat(factor * LOG2E)
  let top = f32x4.splat(MASKED)
  scales += (<usize>from) << 2
  const end = row + ((<usize>to) << 2)
  for (let at = row + ((<usize>from) << 2); at < end; at += 32, scales += 32) {
    const a = scores4(at, scales, times)
    const b = scores4(at + 16, scales + 16, times)
    v128.store(at, a)
    v128.store(at, b, 16)
    top = f32x4.pmax(top, f32x4.pmax(a, b))
  }
  return largestOf(top)
}

/** The same with soft limits, those outside of `first` to `last` masked. */
function scoresOf(
  row: usize,
  scales: usize,
  factor: f32,
  softcap: f32,
  from: i32,
  to: i32,
  first: i32,
  last: i32,
): f32 {
  if (softcap === 0 && first <= from && to <= last) return allScoresOf(row, scales, factor, from, to)
  const limit = f32x4.splat(softcap)
  const slope = f32x4.splat(2 / softcap)
  const times = f32x4.splat(softcap > 0 ? factor : factor * LOG2E)
  let top = f32x4.splat(MASKED)
  for (let j = from; j < to; j += 4) {
    const at = (<usize>j) << 2
    let s = scores4(row + at, scales + at, times)
    if (softcap > 0) s = f32x4.mul(squashed(s, limit, slope), f32x4.splat(LOG2E))
    const place = i32x4.add(i32x4.splat(j), i32x4(0, 1, 2, 3))
    const seen = v128.and(i32x4.ge_s(place, i32x4.splat(first)), i32x4.lt_s(place, i32x4.splat(last)))
    s = v128.bitselect(s, f32x4.splat(MASKED), seen)
    v128.store(row + at, s)
    top = f32x4.pmax(top, s)
  }
  return largestOf(top)
}

/**
 * Scores become weights 2^(score − top), their sum is returned; times the scales of the values, and `factor`, they go to `to`
 * with 16 bits.
 */
function weightsOf(row: usize, scales: usize, top: f32, factor: f32, from: i32, end: i32, to: usize, constants: usize): f32 {
  const most = f32x4.splat(top)
  const times = f32x4.splat(factor)
  let total = f32x4.splat(0)
  for (let at = (<usize>from) << 2; at < (<usize>end) << 2; at += 32) {
    const a = power4(f32x4.sub(v128.load(row + at), most), constants)
    const b = power4(f32x4.sub(v128.load(row + at, 16), most), constants)
    total = f32x4.add(total, f32x4.add(a, b))
    const low = whole(f32x4.mul(a, times), v128.load(scales + at))
    const high = whole(f32x4.mul(b, times), v128.load(scales + at, 16))
    v128.store(to + (at >> 1), i16x8.narrow_i32x4_s(low, high))
  }
  return sum4(total)
}

/** Bytes of a query's sums, of the query with 16 bits, and of its numbers. */
// @ts-expect-error: decorator
@inline
function queryBytes(width: i32): usize {
  return <usize>(6 * width + 16)
}

/** Bytes of scratch for a thread. */
export function pagedScratch(dim: i32): i32 {
  return TILE * 6 * PAGE + <i32>CONSTANTS + TILES * TILE * <i32>queryBytes(padded(dim))
}

/**
 * Arguments: q, pages (addresses, u32), out, tokens, heads, kvHeads, headDim, position of the first token, window (0: none),
 * scale, soft limit of the scores (0: none), scratch. A unit of work are queries that read one key-value head.
 */
export function pagedAttentionPart(part: i32, parts: i32, thread: i32): void {
  const tokens = arg(3)
  const kvHeads = arg(5)
  const queries = (tokens * arg(4)) / kvHeads
  // One query at a time where several threads read for one token: there would be too few units.
  const most = parts > 1 && tokens === 1 ? 1 : TILES * TILE
  const units = (queries + most - 1) / most
  const last = share(kvHeads * units, part + 1, parts)
  for (let unit = share(kvHeads * units, part, parts); unit < last; unit++) {
    const first = (unit % units) * most
    attend(thread, unit / units, first, min(most, queries - first))
  }
}

/** Queries `first` to `first + count` of those that read key-value head `head`. */
function attend(thread: i32, head: i32, first: i32, count: i32): void {
  const heads = arg(4)
  const group = heads / arg(5)
  const dim = arg(6)
  const begin = arg(7)
  const window = arg(8)
  const width = padded(dim)
  const rowSums = (<usize>width) << 2
  const scores = <usize>arg(11) + <usize>thread * <usize>pagedScratch(dim)
  const own = scores + <usize>(TILE * 6 * PAGE) + CONSTANTS
  storeConstants(own - CONSTANTS)

  for (let r = 0; r < count; r++) {
    const sums = own + <usize>r * queryBytes(width)
    quantiseQuery(<usize>arg(0) + placeOf(first + r, head, heads, group, dim), dim, width, sums + rowSums)
    for (let d: usize = 0; d < rowSums; d += 16) v128.store(sums + d, f32x4.splat(0))
  }

  const seen = window > 0 ? max(0, begin + first / group + 1 - window) : 0
  const end = begin + (first + count - 1) / group + 1
  for (let page = seen / PAGE; page * PAGE < end; page++) {
    const keys = <usize>load<u32>(<usize>arg(1) + ((<usize>page) << 2)) + <usize>head * headBytes(width)
    for (let t = 0; t < count; t += TILE) {
      const sums = own + <usize>t * queryBytes(width)
      attendPage(keys, page * PAGE, begin * group + first + t, min(TILE, count - t), group, width, sums, scores)
    }
  }

  for (let r = 0; r < count; r++) {
    const to = <usize>arg(2) + placeOf(first + r, head, heads, group, dim)
    const sums = own + <usize>r * queryBytes(width)
    const factor = f32x4.splat(1 / load<f32>(numbersOf(sums, width), 8))
    for (let d: usize = 0; d < (<usize>dim) << 2; d += 16) v128.store(to + d, f32x4.mul(v128.load(sums + d), factor))
  }
}

/** Bytes before query `index` of key-value head `head`. */
function placeOf(index: i32, head: i32, heads: i32, group: i32, dim: i32): usize {
  return (<usize>(((index / group) * heads + head * group + (index % group)) * dim)) << 2
}

/** Of a query: the factor of its products, the largest score, the sum of its weights, the step of its weights. */
// @ts-expect-error: decorator
@inline
function numbersOf(sums: usize, width: i32): usize {
  return sums + <usize>(6 * width)
}

/**
 * Adds what `rows` queries see of the page that begins at position `start`: its values to their sums. The first query is that of
 * position `first / group`.
 */
function attendPage(
  keys: usize,
  start: i32,
  first: i32,
  rows: i32,
  group: i32,
  width: i32,
  sums: usize,
  scores: usize,
): void {
  const window = arg(8)
  const softcap = floatArg(10)
  const weights = scores + <usize>(4 * TILE * PAGE)
  const constants = weights + <usize>(2 * TILE * PAGE)
  const values = keys + <usize>(PAGE * width)
  const scales = values + <usize>(PAGE * width)
  const seen = window > 0 ? max(0, first / group + 1 - window) : 0
  const from = max(0, seen - start) & ~7
  const to = (min(PAGE, (first + rows - 1) / group + 1 - start) + 7) & ~7
  if (from >= to) return

  const rowBytes = queryBytes(width)
  const q = sums + ((<usize>width) << 2)
  for (let j = from; j < to; j += 8) {
    const at = keys + ((<usize>j) << 1)
    multiply(rows, q, rowBytes, at, width >> 1, <usize>(2 * PAGE), scores + ((<usize>j) << 2))
  }
  const widest = largest(scales + ROW + ((<usize>from) << 2), to - from)
  for (let r = 0; r < rows; r++) {
    const row = scores + <usize>r * ROW
    const sum = sums + <usize>r * rowBytes
    const own = numbersOf(sum, width)
    const to16 = weights + <usize>r * (ROW >> 1)
    const stop = (first + r) / group + 1
    const lowest = (window > 0 ? max(0, stop - window) : 0) - start
    if (stop <= start || lowest >= PAGE) {
      for (let j: usize = (<usize>from) << 1; j < (<usize>to) << 1; j += 16) v128.store(to16 + j, i32x4.splat(0))
      store<f32>(own, 0, 12)
      continue
    }
    const top = scoresOf(row, scales, load<f32>(own), softcap, from, to, lowest, stop - start)
    const before = load<f32>(own, 4)
    const most = max(before, top)
    // what the 16 bits of its weights reach: the largest weight times the largest scale
    const reach = max(power(top - most, constants) * widest, 1e-30)
    const kept = power(before - most, constants)
    const total = weightsOf(row, scales + ROW, most, 32767 / reach, from, to, to16, constants)
    store<f32>(own, most, 4)
    store<f32>(own, load<f32>(own, 8) * kept + total, 8)
    store<f32>(own, reach / 32767, 12)
    if (most > before) {
      const factor = f32x4.splat(kept)
      for (let d: usize = 0; d < (<usize>width) << 2; d += 16) v128.store(sum + d, f32x4.mul(v128.load(sum + d), factor))
    }
  }
  const pairs = (to - from) >> 1
  const step = <usize>(2 * width)
  for (let d = 0; d < width; d += 8) {
    const at = values + <usize>(from >> 1) * step + ((<usize>d) << 1)
    multiply(rows, weights + ((<usize>from) << 1), ROW >> 1, at, pairs, step, scores)
    for (let r = 0; r < rows; r++) {
      const sum = sums + <usize>r * rowBytes
      const factor = f32x4.splat(load<f32>(numbersOf(sum, width), 12))
      const got = scores + <usize>r * ROW
      addScaled4(sum + ((<usize>d) << 2), got, factor)
      addScaled4(sum + ((<usize>d) << 2) + 16, got + 16, factor)
    }
  }
}

/** Adds four whole numbers, times a factor. */
// @ts-expect-error: decorator
@inline
function addScaled4(sum: usize, whole: usize, factor: v128): void {
  v128.store(sum, f32x4.add(v128.load(sum), f32x4.mul(f32x4.convert_i32x4_s(v128.load(whole)), factor)))
}

/** A query with 16 bits, its padding zeroed, and behind it the numbers it starts with. */
function quantiseQuery(x: usize, dim: i32, width: i32, to: usize): void {
  const top = largest(x, dim)
  const factor = f32x4.splat(top > 0 ? 32767 / top : 0)
  for (let d = 0; d < width; d += 8) {
    const low = whole(v128.load(x), factor)
    const high = d + 4 < dim ? whole(v128.load(x, 16), factor) : i32x4.splat(0)
    v128.store(to, i16x8.narrow_i32x4_s(low, high))
    x += 32
    to += 16
  }
  store<f32>(to, (top / 32767) * floatArg(9))
  store<f32>(to, MASKED, 4)
  store<f32>(to, 0, 8)
  store<f32>(to, 0, 12)
}
