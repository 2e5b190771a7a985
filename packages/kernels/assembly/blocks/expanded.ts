// Products with GGUF's matrices that are held as whole numbers of 4 or 8 bits, with scales, and offsets where the type has them, of
// groups of 16 or 32 columns:
//   y[t, r] (+)= scale_x[t] · Σ_g (scale[r, g] · Σ_{c in g} code[r, c] · x[t, c] + offset[r, g] · Σ_{c in g} x[t, c])
// Four rows lie together, group by group: four scales, four offsets, and the codes, so that lanes are rows, and the scales of a group
// one vector. Rows are padded to multiples of 16 with zeros.
//   8 bits: of every two columns, two bytes for each row
//   4 bits, with a sign: of every eight columns, two times 16 bits for each row; the lowest four those of the first two columns
import { arg, share } from '../inference/job'
import { storeRows } from '../inference/simd'

/** The `k`-th two columns of four rows as 16-bit lanes, from `w` (`T` is i8), or from `four`, the 4-bit codes of eight columns (u8). */
// @ts-expect-error: decorator
@inline
function codes<T>(w: usize, four: v128, k: i32): v128 {
  if (isSigned<T>()) {
    // offsets cost no instruction where they are constants
    if (k === 0) return v128.load_ext<i8>(w)
    if (k === 1) return v128.load_ext<i8>(w, 8)
    if (k === 2) return v128.load_ext<i8>(w, 16)
    if (k === 3) return v128.load_ext<i8>(w, 24)
    if (k === 4) return v128.load_ext<i8>(w, 32)
    if (k === 5) return v128.load_ext<i8>(w, 40)
    if (k === 6) return v128.load_ext<i8>(w, 48)
    return v128.load_ext<i8>(w, 56)
  }
  // no masks: engines make a constant again wherever it is used
  return i16x8.shr_s((k & 3) === 3 ? four : i16x8.shl(four, 12 - ((k & 3) << 2)), 12)
}

/** 4-bit codes of the first or second eight columns (`k` 0 or 4); nothing of use for 8 bits. */
// @ts-expect-error: decorator
@inline
function fours<T>(w: usize, k: i32, unused: v128): v128 {
  if (isSigned<T>()) return unused
  return k === 0 ? v128.load(w) : v128.load(w, 16)
}

// @ts-expect-error: decorator
@inline
function dot(sums: v128, w: v128, x: v128): v128 {
  return i32x4.add(sums, i32x4.dot_i16x8_s(w, x))
}

// @ts-expect-error: decorator
@inline
function plus(f: v128, a: v128, b: v128): v128 {
  return f32x4.add(f, f32x4.mul(a, b))
}

/**
 * Eight columns of four rows, from the `k`-th two on, by a token's pairs in all lanes. Engines load what a stretch of code loads before
 * they compute, and run out of registers: a store, here of what nobody reads, ends the stretch.
 */
// @ts-expect-error: decorator
@inline
function byPairs<T>(sums: v128, w: usize, k: i32, x0: v128, x1: v128, x2: v128, x3: v128, unread: usize): v128 {
  const four = fours<T>(w, k, x0)
  sums = dot(sums, codes<T>(w, four, k), x0)
  sums = dot(sums, codes<T>(w, four, k + 1), x1)
  sums = dot(sums, codes<T>(w, four, k + 2), x2)
  sums = dot(sums, codes<T>(w, four, k + 3), x3)
  v128.store(unread, sums)
  return sums
}

/** The same with codes that are at hand, by the token at `x`. */
// @ts-expect-error: decorator
@inline
function byCodes(sums: v128, x: usize, k: i32, w0: v128, w1: v128, w2: v128, w3: v128, unread: usize): v128 {
  sums = dot(sums, w0, k === 0 ? v128.load32_splat(x) : v128.load32_splat(x, 16))
  sums = dot(sums, w1, k === 0 ? v128.load32_splat(x, 4) : v128.load32_splat(x, 20))
  sums = dot(sums, w2, k === 0 ? v128.load32_splat(x, 8) : v128.load32_splat(x, 24))
  sums = dot(sums, w3, k === 0 ? v128.load32_splat(x, 12) : v128.load32_splat(x, 28))
  v128.store(unread, sums)
  return sums
}

/** Bytes of sixteen columns of four rows. */
// @ts-expect-error: decorator
@inline
function sixteenColumns<T>(): usize {
  return isSigned<T>() ? 64 : 32
}

/** Bytes of the scales and offsets of four rows. */
// @ts-expect-error: decorator
@inline
function headBytes(hasOffsets: bool): usize {
  return hasOffsets ? 32 : 16
}

/** Bytes of four rows. */
export function fourRowBytes(bits: i32, hasOffsets: bool, cols: usize, group: usize): usize {
  return cols / group * headBytes(hasOffsets) + (cols * <usize>bits >> 1)
}

/**
 * Sixteen rows by one token: four rows at each of four places, `apart` bytes from one to the next. A processor fetches ahead
 * within a page of memory only, so that four streams come faster than one. Results of the places are `yApart` bytes apart; `count` rows
 * are left from the first one on.
 */
function sixteenByOne<T>(
  w: usize, apart: usize, rowBytes: usize, group: usize, x: usize, sums: usize, xs: usize, y: usize, yApart: usize,
  count: i32, accumulate: bool, unread: usize,
): void {
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
  const head = headBytes(sums !== 0)
  for (const last = w + rowBytes; w < last; ) {
    const s = w
    const s1 = s + apart
    const s2 = s1 + apart
    const s3 = s2 + apart
    w += head
    let a0 = i32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    for (const end = x + (group << 1); x < end; x += 32, w += sixteenColumns<T>()) {
      const w1 = w + apart
      const w2 = w1 + apart
      const w3 = w2 + apart
      let x0 = v128.load32_splat(x)
      let x1 = v128.load32_splat(x, 4)
      let x2 = v128.load32_splat(x, 8)
      let x3 = v128.load32_splat(x, 12)
      a0 = byPairs<T>(a0, w, 0, x0, x1, x2, x3, unread)
      a1 = byPairs<T>(a1, w1, 0, x0, x1, x2, x3, unread)
      a2 = byPairs<T>(a2, w2, 0, x0, x1, x2, x3, unread)
      a3 = byPairs<T>(a3, w3, 0, x0, x1, x2, x3, unread)
      x0 = v128.load32_splat(x, 16)
      x1 = v128.load32_splat(x, 20)
      x2 = v128.load32_splat(x, 24)
      x3 = v128.load32_splat(x, 28)
      a0 = byPairs<T>(a0, w, 4, x0, x1, x2, x3, unread)
      a1 = byPairs<T>(a1, w1, 4, x0, x1, x2, x3, unread)
      a2 = byPairs<T>(a2, w2, 4, x0, x1, x2, x3, unread)
      a3 = byPairs<T>(a3, w3, 4, x0, x1, x2, x3, unread)
    }
    f0 = plus(f0, f32x4.convert_i32x4_s(a0), v128.load(s))
    f1 = plus(f1, f32x4.convert_i32x4_s(a1), v128.load(s1))
    f2 = plus(f2, f32x4.convert_i32x4_s(a2), v128.load(s2))
    f3 = plus(f3, f32x4.convert_i32x4_s(a3), v128.load(s3))
    if (sums === 0) continue
    const sum = v128.load32_splat(sums)
    f0 = plus(f0, v128.load(s, 16), sum)
    f1 = plus(f1, v128.load(s1, 16), sum)
    f2 = plus(f2, v128.load(s2, 16), sum)
    f3 = plus(f3, v128.load(s3, 16), sum)
    sums += 4
  }
  const scale = v128.load32_splat(xs)
  const rows = <i32>(yApart >> 2)
  storeRows(y, f32x4.mul(f0, scale), count, accumulate)
  storeRows(y + yApart, f32x4.mul(f1, scale), count - rows, accumulate)
  storeRows(y + 2 * yApart, f32x4.mul(f2, scale), count - 2 * rows, accumulate)
  storeRows(y + 3 * yApart, f32x4.mul(f3, scale), count - 3 * rows, accumulate)
}

/** Four rows by four tokens, `next` bytes apart; their sums are `nextSums`, their results `ldy` bytes apart. */
function fourByFour<T>(
  w: usize, rowBytes: usize, group: usize, x: usize, next: usize, sums: usize, nextSums: usize, xs: usize, y: usize,
  ldy: usize, count: i32, accumulate: bool, unread: usize,
): void {
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
  const head = headBytes(sums !== 0)
  for (const last = w + rowBytes; w < last; ) {
    const s = w
    w += head
    let a0 = i32x4.splat(0)
    let a1 = a0
    let a2 = a0
    let a3 = a0
    for (const end = x + (group << 1); x < end; x += 32, w += sixteenColumns<T>()) {
      const x1 = x + next
      const x2 = x1 + next
      const x3 = x2 + next
      let four = fours<T>(w, 0, a0)
      let w0 = codes<T>(w, four, 0)
      let w1 = codes<T>(w, four, 1)
      let w2 = codes<T>(w, four, 2)
      let w3 = codes<T>(w, four, 3)
      a0 = byCodes(a0, x, 0, w0, w1, w2, w3, unread)
      a1 = byCodes(a1, x1, 0, w0, w1, w2, w3, unread)
      a2 = byCodes(a2, x2, 0, w0, w1, w2, w3, unread)
      a3 = byCodes(a3, x3, 0, w0, w1, w2, w3, unread)
      four = fours<T>(w, 4, a0)
      w0 = codes<T>(w, four, 4)
      w1 = codes<T>(w, four, 5)
      w2 = codes<T>(w, four, 6)
      w3 = codes<T>(w, four, 7)
      a0 = byCodes(a0, x, 4, w0, w1, w2, w3, unread)
      a1 = byCodes(a1, x1, 4, w0, w1, w2, w3, unread)
      a2 = byCodes(a2, x2, 4, w0, w1, w2, w3, unread)
      a3 = byCodes(a3, x3, 4, w0, w1, w2, w3, unread)
    }
    const scales = v128.load(s)
    f0 = plus(f0, f32x4.convert_i32x4_s(a0), scales)
    f1 = plus(f1, f32x4.convert_i32x4_s(a1), scales)
    f2 = plus(f2, f32x4.convert_i32x4_s(a2), scales)
    f3 = plus(f3, f32x4.convert_i32x4_s(a3), scales)
    if (sums === 0) continue
    const offsets = v128.load(s, 16)
    f0 = plus(f0, offsets, v128.load32_splat(sums))
    f1 = plus(f1, offsets, v128.load32_splat(sums + nextSums))
    f2 = plus(f2, offsets, v128.load32_splat(sums + 2 * nextSums))
    f3 = plus(f3, offsets, v128.load32_splat(sums + 3 * nextSums))
    sums += 4
  }
  storeRows(y, f32x4.mul(f0, v128.load32_splat(xs)), count, accumulate)
  storeRows(y + ldy, f32x4.mul(f1, v128.load32_splat(xs, 4)), count, accumulate)
  storeRows(y + 2 * ldy, f32x4.mul(f2, v128.load32_splat(xs, 8)), count, accumulate)
  storeRows(y + 3 * ldy, f32x4.mul(f3, v128.load32_splat(xs, 12)), count, accumulate)
}

/**
 * Arguments: w, bits, x (16 bits), xScales, sums (0: no offsets), y, rows, cols, columns of a group, tokens, floats between tokens of y,
 * accumulate, scratch (64 bytes per thread).
 */
export function matmulExpandedPart(part: i32, parts: i32, thread: i32): void {
  if (arg(1) === 4) products<u8>(part, parts, thread)
  else products<i8>(part, parts, thread)
}

function products<T>(part: i32, parts: i32, thread: i32): void {
  const rows = arg(6)
  const tokens = arg(9)
  const sixteens = (rows + 15) >> 4
  const last = share(sixteens, part + 1, parts)
  const first = share(sixteens, part, parts)
  if (tokens === 1) oneToken<T>(first, last - first, rows, thread)
  else for (let i = first; i < last; i++) severalTokens<T>(i, rows, tokens, thread)
}

/** `count` sixteens of rows by a token; the rows are cut into four places. */
function oneToken<T>(first: i32, count: i32, rows: i32, thread: i32): void {
  const sums = <usize>arg(4)
  const group = <usize>arg(8)
  const rowBytes = fourRowBytes(arg(1), sums !== 0, <usize>arg(7), group)
  const unread = <usize>arg(12) + (<usize>thread << 6)
  let w = <usize>arg(0) + (<usize>first << 2) * rowBytes
  let y = <usize>arg(5) + (<usize>first << 6)
  for (let i = 0; i < count; i++, w += rowBytes, y += 16) {
    sixteenByOne<T>(
      w, <usize>count * rowBytes, rowBytes, group, <usize>arg(2), sums, <usize>arg(3), y, <usize>count << 4,
      rows - (first << 4) - (i << 2), arg(11) !== 0, unread,
    )
  }
}

/** The `i`-th sixteen of rows by all tokens. */
function severalTokens<T>(i: i32, rows: i32, tokens: i32, thread: i32): void {
  let x = <usize>arg(2)
  let xs = <usize>arg(3)
  let sums = <usize>arg(4)
  const cols = <usize>arg(7)
  const group = <usize>arg(8)
  const ldy = <usize>arg(10) << 2
  const accumulate = arg(11) !== 0
  const unread = <usize>arg(12) + (<usize>thread << 6)
  const rowBytes = fourRowBytes(arg(1), sums !== 0, cols, group)
  const next = cols << 1
  const nextSums = sums === 0 ? 0 : cols / group << 2
  const w = <usize>arg(0) + (<usize>i << 2) * rowBytes
  let y = <usize>arg(5) + (<usize>i << 6)
  rows -= i << 4
  for (; tokens >= 4; tokens -= 4) {
    for (let q = 0; q < 4; q++) {
      fourByFour<T>(
        w + <usize>q * rowBytes, rowBytes, group, x, next, sums, nextSums, xs, y + (<usize>q << 4), ldy, rows - (q << 2),
        accumulate, unread,
      )
    }
    x += next << 2
    xs += 16
    sums += nextSums << 2
    y += ldy << 2
  }
  for (; tokens > 0; tokens--) {
    sixteenByOne<T>(w, rowBytes, rowBytes, group, x, sums, xs, y, 16, rows, accumulate, unread)
    x += next
    xs += 4
    sums += nextSums
    y += ldy
  }
}
