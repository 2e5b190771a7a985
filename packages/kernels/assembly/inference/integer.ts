// Weights of one or two bytes with a scale per row and group of columns; activations of 16 bits with a scale per token:
//   y[t, r] (+)= scale_x[t] · Σ_g scale_w[r, g] · Σ_{c in g} w[r, c] · x[t, c]
// Rows are padded to multiples of 4, columns to multiples of 16 with zeros. Sums stay within 32 bits for groups of
// at most 2048 columns of bytes (±127), or 64 columns of two-byte weights, which are ±4095.
// A row's result is the same whichever micro-kernel computes it. Weights lie in blocks of 4 rows × 16 columns, one or
// two cache lines each, left to right: a stream through memory, three times as fast to read as four rows at once.
import { arg, share } from './job'
import { storeRows, sums } from './simd'

/** Eight weights, `at` weights behind `w`, as 16-bit lanes. */
// @ts-expect-error: decorator
@inline
function weights<T>(w: usize, at: usize): v128 {
  if (sizeof<T>() === 1) return v128.load_ext<i8>(w + at)
  return v128.load(w + 2 * at)
}

// @ts-expect-error: decorator
@inline
function dot(a: v128, w: v128, x: v128): v128 {
  return i32x4.add(a, i32x4.dot_i16x8_s(w, x))
}

// @ts-expect-error: decorator
@inline
function scaled(f: v128, a: v128, scale: usize): v128 {
  return f32x4.add(f, f32x4.mul(f32x4.convert_i32x4_s(a), v128.load_splat<f32>(scale)))
}

// @ts-expect-error: decorator
@inline
function sixteen(a: v128, w: v128, x: v128, w2: v128, x2: v128): v128 {
  return dot(dot(a, w, x), w2, x2)
}

/**
 * Stores sums where nobody reads them. Engines load all that a stretch of code loads before they compute, and have no registers for it
 * all; a store ends the stretch.
 */
// @ts-expect-error: decorator
@inline
function settle(at: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(at, a)
  v128.store(at, b)
  v128.store(at, c)
  v128.store(at, d)
}

/** The sums of the lanes of `count` rows, times the scale at `xs`. */
function storeSums(y: usize, f0: v128, f1: v128, f2: v128, f3: v128, xs: usize, count: i32, accumulate: bool): void {
  storeRows(y, f32x4.mul(sums(f0, f1, f2, f3), v128.load_splat<f32>(xs)), count, accumulate)
}

/** Four rows by one token: the row sums without the token's scale. `scales` has `groups` bytes per row. */
function fourByOne<T>(w: usize, stride: usize, scales: usize, groups: usize, group: usize, x: usize): v128 {
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
  const last = scales + groups
  let done: usize = 0
  for (; scales < last; scales += 4) {
    const columns = min(group, stride - done)
    done += columns
    const end = w + (columns << 2) * sizeof<T>()
    let a0 = i32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let step = 56 * sizeof<T>()
    while (w < end) {
      const v = v128.load(x)
      a0 = dot(a0, weights<T>(w, 0), v)
      a1 = dot(a1, weights<T>(w, 16), v)
      a2 = dot(a2, weights<T>(w, 32), v)
      a3 = dot(a3, weights<T>(w, 48), v)
      step = 64 * sizeof<T>() - step
      w += step
      x += 16
    }
    f0 = scaled(f0, a0, scales)
    f1 = scaled(f1, a1, scales + groups)
    f2 = scaled(f2, a2, scales + 2 * groups)
    f3 = scaled(f3, a3, scales + 3 * groups)
  }
  return sums(f0, f1, f2, f3)
}

/**
 * Sixteen rows of one-byte weights by one token: four rows at each of four places, `apart` bytes of weights between them, and
 * `toNext` bytes from the scales of the last row of one to those of the first row of the next. A processor fetches ahead
 * within a page of memory only, so that four streams come faster than one. Stores the rows of each place, `yApart` bytes
 * apart, `count` of the last.
 */
function sixteenByOne(
  w: usize, apart: usize, stride: usize, scales: usize, toNext: usize, groups: usize, group: usize,
  x: usize, xs: usize, y: usize, yApart: usize, count: i32, accumulate: bool,
): void {
  // the place of the first results takes sums meanwhile
  const before = v128.load(y)
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
  let g0 = f0
  let g1 = f0
  let g2 = f0
  let g3 = f0
  let h0 = f0
  let h1 = f0
  let h2 = f0
  let h3 = f0
  let k0 = f0
  let k1 = f0
  let k2 = f0
  let k3 = f0
  const last = scales + groups
  let done: usize = 0
  for (; scales < last; scales += 4) {
    const columns = min(group, stride - done)
    done += columns
    const end = w + (columns << 2)
    let a0 = i32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let b0 = a0
    let b1 = a0
    let b2 = a0
    let b3 = a0
    let c0 = a0
    let c1 = a0
    let c2 = a0
    let c3 = a0
    let d0 = a0
    let d1 = a0
    let d2 = a0
    let d3 = a0
    while (w < end) {
      const w1 = w + apart
      const w2 = w1 + apart
      const w3 = w2 + apart
      const u = v128.load(x)
      const v = v128.load(x, 16)
      a0 = sixteen(a0, v128.load_ext<i8>(w), u, v128.load_ext<i8>(w, 8), v)
      a1 = sixteen(a1, v128.load_ext<i8>(w, 16), u, v128.load_ext<i8>(w, 24), v)
      a2 = sixteen(a2, v128.load_ext<i8>(w, 32), u, v128.load_ext<i8>(w, 40), v)
      a3 = sixteen(a3, v128.load_ext<i8>(w, 48), u, v128.load_ext<i8>(w, 56), v)
      settle(y, a0, a1, a2, a3)
      b0 = sixteen(b0, v128.load_ext<i8>(w1), u, v128.load_ext<i8>(w1, 8), v)
      b1 = sixteen(b1, v128.load_ext<i8>(w1, 16), u, v128.load_ext<i8>(w1, 24), v)
      b2 = sixteen(b2, v128.load_ext<i8>(w1, 32), u, v128.load_ext<i8>(w1, 40), v)
      b3 = sixteen(b3, v128.load_ext<i8>(w1, 48), u, v128.load_ext<i8>(w1, 56), v)
      settle(y, b0, b1, b2, b3)
      c0 = sixteen(c0, v128.load_ext<i8>(w2), u, v128.load_ext<i8>(w2, 8), v)
      c1 = sixteen(c1, v128.load_ext<i8>(w2, 16), u, v128.load_ext<i8>(w2, 24), v)
      c2 = sixteen(c2, v128.load_ext<i8>(w2, 32), u, v128.load_ext<i8>(w2, 40), v)
      c3 = sixteen(c3, v128.load_ext<i8>(w2, 48), u, v128.load_ext<i8>(w2, 56), v)
      settle(y, c0, c1, c2, c3)
      d0 = sixteen(d0, v128.load_ext<i8>(w3), u, v128.load_ext<i8>(w3, 8), v)
      d1 = sixteen(d1, v128.load_ext<i8>(w3, 16), u, v128.load_ext<i8>(w3, 24), v)
      d2 = sixteen(d2, v128.load_ext<i8>(w3, 32), u, v128.load_ext<i8>(w3, 40), v)
      d3 = sixteen(d3, v128.load_ext<i8>(w3, 48), u, v128.load_ext<i8>(w3, 56), v)
      w += 64
      x += 32
    }
    let s = scales
    f0 = scaled(f0, a0, s)
    s += groups
    f1 = scaled(f1, a1, s)
    s += groups
    f2 = scaled(f2, a2, s)
    s += groups
    f3 = scaled(f3, a3, s)
    s += toNext
    g0 = scaled(g0, b0, s)
    s += groups
    g1 = scaled(g1, b1, s)
    s += groups
    g2 = scaled(g2, b2, s)
    s += groups
    g3 = scaled(g3, b3, s)
    s += toNext
    h0 = scaled(h0, c0, s)
    s += groups
    h1 = scaled(h1, c1, s)
    s += groups
    h2 = scaled(h2, c2, s)
    s += groups
    h3 = scaled(h3, c3, s)
    s += toNext
    k0 = scaled(k0, d0, s)
    s += groups
    k1 = scaled(k1, d1, s)
    s += groups
    k2 = scaled(k2, d2, s)
    s += groups
    k3 = scaled(k3, d3, s)
  }
  v128.store(y, before)
  storeSums(y, f0, f1, f2, f3, xs, 4, accumulate)
  y += yApart
  storeSums(y, g0, g1, g2, g3, xs, 4, accumulate)
  y += yApart
  storeSums(y, h0, h1, h2, h3, xs, 4, accumulate)
  y += yApart
  storeSums(y, k0, k1, k2, k3, xs, count, accumulate)
}

/** Four rows by two tokens, whose activations are `next` bytes apart; stores four values per token. */
function fourByTwo<T>(
  w: usize, stride: usize, scales: usize, groups: usize, group: usize, x: usize, next: usize, xs: usize,
  y: usize, ldy: usize, count: i32, accumulate: bool,
): void {
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
  let g0 = f0
  let g1 = f0
  let g2 = f0
  let g3 = f0
  const last = scales + groups
  let done: usize = 0
  for (; scales < last; scales += 4) {
    const columns = min(group, stride - done)
    done += columns
    const end = w + (columns << 2) * sizeof<T>()
    let a0 = i32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    let b0 = a0
    let b1 = a0
    let b2 = a0
    let b3 = a0
    // eight columns of a block, then its other eight: engines have registers for no more
    let step = 56 * sizeof<T>()
    while (w < end) {
      const u = v128.load(x)
      const v = v128.load(x + next)
      let m = weights<T>(w, 0)
      a0 = dot(a0, m, u)
      b0 = dot(b0, m, v)
      m = weights<T>(w, 16)
      a1 = dot(a1, m, u)
      b1 = dot(b1, m, v)
      m = weights<T>(w, 32)
      a2 = dot(a2, m, u)
      b2 = dot(b2, m, v)
      m = weights<T>(w, 48)
      a3 = dot(a3, m, u)
      b3 = dot(b3, m, v)
      step ^= 48 * sizeof<T>()
      w += step
      x += 16
    }
    f0 = scaled(f0, a0, scales)
    g0 = scaled(g0, b0, scales)
    f1 = scaled(f1, a1, scales + groups)
    g1 = scaled(g1, b1, scales + groups)
    f2 = scaled(f2, a2, scales + 2 * groups)
    g2 = scaled(g2, b2, scales + 2 * groups)
    f3 = scaled(f3, a3, scales + 3 * groups)
    g3 = scaled(g3, b3, scales + 3 * groups)
  }
  storeSums(y, f0, f1, f2, f3, xs, count, accumulate)
  storeSums(y + ldy, g0, g1, g2, g3, xs + 4, count, accumulate)
}

/** Arguments: w, scales, x, xScales, y, rows, stride, group, tokens, floats between tokens of y, accumulate, bytes. */
export function matmulIntegerPart(part: i32, parts: i32): void {
  const x = <usize>arg(2)
  const xs = <usize>arg(3)
  const rows = arg(5)
  const stride = <usize>arg(6)
  const group = <usize>arg(7)
  const tokens = arg(8)
  const ldy = <usize>arg(9) << 2
  const accumulate = arg(10) !== 0
  const wide = arg(11) === 2
  const groups = (stride + group - 1) / group << 2
  const quadBytes = stride << (wide ? 3 : 2)
  const quads = (rows + 3) >> 2
  const last = share(quads, part + 1, parts)
  let q = share(quads, part, parts)
  // of the fours of rows that this part has, so many lie at each of four places
  const each = tokens === 1 && !wide ? (last - q) >> 2 : 0
  const apart = <usize>each * quadBytes
  const toNext = (<usize>each * 4 - 3) * groups
  const yApart = <usize>each << 4
  for (const end = q + each; ; q++) {
    if (q === end) q += 3 * each
    if (q >= last) break
    const w = <usize>arg(0) + <usize>q * quadBytes
    const scales = <usize>arg(1) + (<usize>q << 2) * groups
    const y = <usize>arg(4) + (<usize>q << 4)
    const left = rows - (q << 2)
    if (q < end) {
      const count = left - 12 * each
      sixteenByOne(w, apart, stride, scales, toNext, groups, group, x, xs, y, yApart, count, accumulate)
    } else if (wide) fourRows<i16>(w, stride, scales, groups, group, x, stride << 1, xs, y, ldy, left, tokens, accumulate)
    else fourRows<i8>(w, stride, scales, groups, group, x, stride << 1, xs, y, ldy, left, tokens, accumulate)
  }
}

/** Four rows, `count` of which are stored, by all tokens; `groups`, `next` and `ldy` are bytes, `y` is where the first row goes. */
export function fourRows<T>(
  w: usize, stride: usize, scales: usize, groups: usize, group: usize, x: usize, next: usize, xs: usize,
  y: usize, ldy: usize, count: i32, tokens: i32, accumulate: bool,
): void {
  for (; tokens >= 2; tokens -= 2) {
    fourByTwo<T>(w, stride, scales, groups, group, x, next, xs, y, ldy, count, accumulate)
    x += next << 1
    xs += 8
    y += ldy << 1
  }
  if (tokens > 0) {
    const f = fourByOne<T>(w, stride, scales, groups, group, x)
    storeRows(y, f32x4.mul(f, v128.load_splat<f32>(xs)), count, accumulate)
  }
}
