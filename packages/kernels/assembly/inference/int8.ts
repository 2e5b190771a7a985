// Weights of one byte with a scale per row and group of columns; activations of 16 bits with a scale per token:
//   y[t, r] (+)= scale_x[t] · Σ_g scale_w[r, g] · Σ_{c in g} w[r, c] · x[t, c]
// Rows are padded to multiples of 4, columns to multiples of 16 with zeros; a group has at most 2048 columns so that
// sums stay within 32 bits. A row's result is the same whichever micro-kernel computes it.
// Weights lie in blocks of 4 rows × 16 columns, a cache line each, left to right: one stream through memory, which
// is three times as fast to read as four rows at once.
import { arg, share } from './job'
import { storeRows, sums } from './simd'

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

/** Four rows by one token: the row sums without the token's scale. `scales` has `groups` bytes per row. */
function fourByOne(w: usize, stride: usize, scales: usize, groups: usize, group: usize, x: usize): v128 {
  let f0 = f32x4.splat(0)
  let f1 = f0
  let f2 = f0
  let f3 = f0
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
    for (; w < end; w += 64) {
      let v = v128.load(x)
      a0 = dot(a0, v128.load_ext<i8>(w), v)
      a1 = dot(a1, v128.load_ext<i8>(w, 16), v)
      a2 = dot(a2, v128.load_ext<i8>(w, 32), v)
      a3 = dot(a3, v128.load_ext<i8>(w, 48), v)
      v = v128.load(x, 16)
      a0 = dot(a0, v128.load_ext<i8>(w, 8), v)
      a1 = dot(a1, v128.load_ext<i8>(w, 24), v)
      a2 = dot(a2, v128.load_ext<i8>(w, 40), v)
      a3 = dot(a3, v128.load_ext<i8>(w, 56), v)
      x += 32
    }
    f0 = scaled(f0, a0, scales)
    f1 = scaled(f1, a1, scales + groups)
    f2 = scaled(f2, a2, scales + 2 * groups)
    f3 = scaled(f3, a3, scales + 3 * groups)
  }
  return sums(f0, f1, f2, f3)
}

/** Four rows by two tokens, whose activations follow each other; stores four values per token. */
function fourByTwo(
  w: usize, stride: usize, scales: usize, groups: usize, group: usize, x: usize, xs: usize,
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
  const next = stride << 1
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
    for (; w < end; w += 64) {
      let u = v128.load(x)
      let v = v128.load(x + next)
      let m = v128.load_ext<i8>(w)
      a0 = dot(a0, m, u)
      b0 = dot(b0, m, v)
      m = v128.load_ext<i8>(w, 16)
      a1 = dot(a1, m, u)
      b1 = dot(b1, m, v)
      m = v128.load_ext<i8>(w, 32)
      a2 = dot(a2, m, u)
      b2 = dot(b2, m, v)
      m = v128.load_ext<i8>(w, 48)
      a3 = dot(a3, m, u)
      b3 = dot(b3, m, v)
      u = v128.load(x, 16)
      v = v128.load(x + next, 16)
      m = v128.load_ext<i8>(w, 8)
      a0 = dot(a0, m, u)
      b0 = dot(b0, m, v)
      m = v128.load_ext<i8>(w, 24)
      a1 = dot(a1, m, u)
      b1 = dot(b1, m, v)
      m = v128.load_ext<i8>(w, 40)
      a2 = dot(a2, m, u)
      b2 = dot(b2, m, v)
      m = v128.load_ext<i8>(w, 56)
      a3 = dot(a3, m, u)
      b3 = dot(b3, m, v)
      x += 32
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
  storeRows(y, f32x4.mul(sums(f0, f1, f2, f3), v128.load_splat<f32>(xs)), count, accumulate)
  storeRows(y + ldy, f32x4.mul(sums(g0, g1, g2, g3), v128.load_splat<f32>(xs + 4)), count, accumulate)
}

/** Arguments: w, scales, x, xScales, y, rows, stride, group, tokens, floats between tokens of y, accumulate. */
export function matmulInt8Part(part: i32, parts: i32): void {
  const w = <usize>arg(0)
  const scales = <usize>arg(1)
  const x = <usize>arg(2)
  const xs = <usize>arg(3)
  const y = <usize>arg(4)
  const rows = arg(5)
  const stride = <usize>arg(6)
  const group = <usize>arg(7)
  const tokens = arg(8)
  const ldy = <usize>arg(9) << 2
  const accumulate = arg(10) !== 0
  const groups = (stride + group - 1) / group << 2
  const quads = (rows + 3) >> 2
  const last = share(quads, part + 1, parts)
  for (let q = share(quads, part, parts); q < last; q++) {
    const row = <usize>q << 2
    const wq = w + row * stride
    const sq = scales + row * groups
    const count = rows - (q << 2)
    let t = 0
    for (; t + 2 <= tokens; t += 2) {
      fourByTwo(
        wq, stride, sq, groups, group, x + <usize>t * (stride << 1), xs + (<usize>t << 2),
        y + <usize>t * ldy + (row << 2), ldy, count, accumulate,
      )
    }
    if (t < tokens) {
      const f = fourByOne(wq, stride, sq, groups, group, x + <usize>t * (stride << 1))
      const scale = v128.load_splat<f32>(xs + (<usize>t << 2))
      storeRows(y + <usize>t * ldy + (row << 2), f32x4.mul(f, scale), count, accumulate)
    }
  }
}

/** Largest absolute value of `n` floats (a multiple of 4). */
function largest(x: usize, n: i32): f32 {
  let m = f32x4.splat(0)
  for (let i = 0; i < n; i += 4) m = f32x4.pmax(m, f32x4.abs(v128.load(x + (<usize>i << 2))))
  m = f32x4.pmax(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1))
  return max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1))
}

// @ts-expect-error: decorator
@inline
function rounded(x: usize, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), inverse)))
}

/**
 * Activations `[tokens, cols]` to 16 bits and a scale per token. Arguments: x, floats between tokens of x, out,
 * scales, tokens, cols (a multiple of 4), stride (values between tokens of out; what is beyond cols is zeroed).
 */
export function quantiseActivationsPart(part: i32, parts: i32): void {
  const tokens = arg(4)
  const cols = arg(5)
  const stride = arg(6)
  const last = share(tokens, part + 1, parts)
  for (let t = share(tokens, part, parts); t < last; t++) {
    const x = <usize>arg(0) + <usize>t * (<usize>arg(1) << 2)
    const out = <usize>arg(2) + <usize>t * (<usize>stride << 1)
    const top = largest(x, cols)
    store<f32>(<usize>arg(3) + (<usize>t << 2), top / 32767)
    const inverse = f32x4.splat(top > 0 ? <f32>32767 / top : 0)
    for (let i = 0; i < cols; i += 4) {
      const q = rounded(x + (<usize>i << 2), inverse)
      v128.store64_lane(out + (<usize>i << 1), i16x8.narrow_i32x4_s(q, q), 0)
    }
    memory.fill(out + (<usize>cols << 1), 0, <usize>(stride - cols) << 1)
  }
}

/** Where row `r` of the blocked weights begins; its 16-byte pieces are 64 bytes apart. */
// @ts-expect-error: decorator
@inline
function rowAt(w: usize, r: i32, stride: i32): usize {
  return w + <usize>(r & ~3) * stride + (<usize>(r & 3) << 4)
}

/** Offset of column `c` from the start of its row. */
// @ts-expect-error: decorator
@inline
function columnAt(c: i32): usize {
  return (<usize>(c & ~15) << 2) + (c & 15)
}

/**
 * Weights to one byte and a scale per row and group. Arguments: x `[rows, cols]` f32, out, scales, rows, cols,
 * stride (columns of out; what is beyond cols is zero already), group, first row. `out` and `scales` belong to row 0.
 */
export function quantiseWeightsPart(part: i32, parts: i32): void {
  const rows = arg(3)
  const cols = arg(4)
  const stride = arg(5)
  const group = arg(6)
  const groups = (stride + group - 1) / group
  const last = share(rows, part + 1, parts)
  for (let r = share(rows, part, parts); r < last; r++) {
    const x = <usize>arg(0) + (<usize>r * cols << 2)
    const row = arg(7) + r
    const out = rowAt(<usize>arg(1), row, stride)
    let scale = <usize>arg(2) + (<usize>row * groups << 2)
    for (let from = 0; from < cols; from += group) {
      const to = min(from + group, cols)
      let top: f32 = 0
      for (let i = from; i < to; i++) top = max(top, abs(load<f32>(x + (<usize>i << 2))))
      store<f32>(scale, top / 127)
      scale += 4
      const inverse = top > 0 ? <f32>127 / top : 0
      for (let i = from; i < to; i++) store<i8>(out + columnAt(i), <i8>nearest(load<f32>(x + (<usize>i << 2)) * inverse))
    }
  }
}

/** Row `row` back to floats, times `factor`: how an embedding is looked up. */
export function int8Row(
  w: usize, scales: usize, row: i32, out: usize, cols: i32, stride: i32, group: i32, factor: f32,
): void {
  w = rowAt(w, row, stride)
  scales += <usize>row * ((stride + group - 1) / group) << 2
  for (let i = 0; i < cols; i += 4) {
    const scale = f32x4.splat(load<f32>(scales + (<usize>(i / group) << 2)) * factor)
    const words = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(w + columnAt(i))))
    v128.store(out + (<usize>i << 2), f32x4.mul(f32x4.convert_i32x4_s(words), scale))
  }
}
