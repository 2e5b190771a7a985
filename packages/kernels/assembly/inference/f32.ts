// Float weights `[rows, cols]`; columns and rows are padded to multiples of 4 with zeros.
//   y[t, r] (+)= factor · Σ_c w[r, c] · x[t, c]
// They lie in blocks of 4 rows × 4 columns, a cache line each, left to right: one stream through memory.
import { arg, floatArg, share } from './job'
import { madd, storeRows, sums } from './simd'

function fourByOne(w: usize, stride: usize, x: usize): v128 {
  let a0 = f32x4.splat(0)
  let a1 = a0
  let a2 = a0
  let a3 = a0
  for (const end = x + stride; x < end; x += 16, w += 64) {
    const v = v128.load(x)
    a0 = madd(v128.load(w), v, a0)
    a1 = madd(v128.load(w, 16), v, a1)
    a2 = madd(v128.load(w, 32), v, a2)
    a3 = madd(v128.load(w, 48), v, a3)
  }
  return sums(a0, a1, a2, a3)
}

function fourByTwo(
  w: usize, stride: usize, x: usize, next: usize, factor: v128, y: usize, ldy: usize, count: i32, accumulate: bool,
): void {
  let a0 = f32x4.splat(0)
  let a1 = a0
  let a2 = a0
  let a3 = a0
  let b0 = a0
  let b1 = a0
  let b2 = a0
  let b3 = a0
  for (const end = x + stride; x < end; x += 16, w += 64) {
    const u = v128.load(x)
    const v = v128.load(x + next)
    let m = v128.load(w)
    a0 = madd(m, u, a0)
    b0 = madd(m, v, b0)
    m = v128.load(w, 16)
    a1 = madd(m, u, a1)
    b1 = madd(m, v, b1)
    m = v128.load(w, 32)
    a2 = madd(m, u, a2)
    b2 = madd(m, v, b2)
    m = v128.load(w, 48)
    a3 = madd(m, u, a3)
    b3 = madd(m, v, b3)
  }
  storeRows(y, f32x4.mul(sums(a0, a1, a2, a3), factor), count, accumulate)
  storeRows(y + ldy, f32x4.mul(sums(b0, b1, b2, b3), factor), count, accumulate)
}

/** `rows` rows of weights at `w` by all tokens; `stride`, `ldx` and `ldy` are bytes, `y` is where the first row goes. */
export function floatRows(
  w: usize, stride: usize, rows: i32, x: usize, ldx: usize, y: usize, ldy: usize, tokens: i32, scale: f32,
  accumulate: bool,
): void {
  const factor = f32x4.splat(scale)
  for (; rows > 0; rows -= 4) {
    let t = 0
    let at = y
    let xt = x
    for (; t + 2 <= tokens; t += 2) {
      fourByTwo(w, stride, xt, ldx, factor, at, ldy, rows, accumulate)
      at += ldy << 1
      xt += ldx << 1
    }
    if (t < tokens) storeRows(at, f32x4.mul(fourByOne(w, stride, xt), factor), rows, accumulate)
    w += stride << 2
    y += 16
  }
}

/** Arguments: w, x, floats between tokens of x, y, floats between tokens of y, rows, stride, tokens, accumulate, factor. */
export function matmulFloatPart(part: i32, parts: i32): void {
  const rows = arg(5)
  const stride = <usize>arg(6) << 2
  const quads = (rows + 3) >> 2
  const from = share(quads, part, parts) << 2
  const to = min(rows, share(quads, part + 1, parts) << 2)
  floatRows(
    <usize>arg(0) + <usize>from * stride, stride, to - from, <usize>arg(1), <usize>arg(2) << 2,
    <usize>arg(3) + (<usize>from << 2), <usize>arg(4) << 2, arg(7), floatArg(9), arg(8) !== 0,
  )
}

/** Puts `rows` rows of `x` `[rows, cols]` (a multiple of 4) into blocked weights that have `stride` columns. */
export function packFloats(x: usize, w: usize, rows: i32, cols: i32, stride: i32, firstRow: i32): void {
  for (let r = 0; r < rows; r++) {
    const out = floatRowAt(w, firstRow + r, stride)
    for (let c: usize = 0; c < <usize>cols; c += 4) {
      v128.store(out + (c << 4), v128.load(x))
      x += 16
    }
  }
}

/** Row `row` of blocked weights, times `factor`: how an embedding is looked up. */
export function floatRow(w: usize, row: i32, out: usize, cols: i32, stride: i32, factor: f32): void {
  w = floatRowAt(w, row, stride)
  for (let c: usize = 0; c < <usize>cols; c += 4) {
    v128.store(out + (c << 2), f32x4.mul(v128.load(w + (c << 4)), f32x4.splat(factor)))
  }
}

// @ts-expect-error: decorator
@inline
function floatRowAt(w: usize, r: i32, stride: i32): usize {
  return w + (<usize>(r & ~3) * stride << 2) + (<usize>(r & 3) << 4)
}
