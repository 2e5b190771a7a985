// Cholesky factorisation and triangular inverses of row-major float64 matrices whose sides are multiples of 4.
// All are made of dot products of four rows with four others; a band of rows stays in the cache while the others go by.
import { madd64 } from '../inference/simd'

/** Rows of a band. */
const BAND: i32 = 64

// @ts-expect-error: decorator
@inline
function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1)
}

/** The products of four rows at `a` with four at `b`, `ld` bytes apart, over `n` doubles: `[4, 4]` at `out`. */
function dots(a: usize, b: usize, ld: usize, n: i32, out: usize): void {
  const bytes = <usize>n << 3
  for (const past = out + 32; out < past; out += 16, b += 2 * ld) {
    let s00 = f64x2.splat(0)
    let s01 = s00
    let s10 = s00
    let s11 = s00
    let s20 = s00
    let s21 = s00
    let s30 = s00
    let s31 = s00
    let p = a
    let q = b
    for (const end = a + bytes; p < end; p += 16, q += 16) {
      const u = v128.load(q)
      const v = v128.load(q + ld)
      let x = v128.load(p)
      s00 = madd64(x, u, s00)
      s01 = madd64(x, v, s01)
      x = v128.load(p + ld)
      s10 = madd64(x, u, s10)
      s11 = madd64(x, v, s11)
      x = v128.load(p + 2 * ld)
      s20 = madd64(x, u, s20)
      s21 = madd64(x, v, s21)
      x = v128.load(p + 3 * ld)
      s30 = madd64(x, u, s30)
      s31 = madd64(x, v, s31)
    }
    store<f64>(out, sum2(s00))
    store<f64>(out, sum2(s01), 8)
    store<f64>(out, sum2(s10), 32)
    store<f64>(out, sum2(s11), 40)
    store<f64>(out, sum2(s20), 64)
    store<f64>(out, sum2(s21), 72)
    store<f64>(out, sum2(s30), 96)
    store<f64>(out, sum2(s31), 104)
  }
}

/** X with X Lᵀ = A − S, in place of A: `[4, 4]` blocks, `L` lower triangular. */
function solve4(a: usize, l: usize, ld: usize, s: usize): void {
  for (let r: usize = 0; r < 4; r++, a += ld, s += 32) {
    for (let c: usize = 0; c < 4; c++) {
      let v = load<f64>(a + (c << 3)) - load<f64>(s + (c << 3))
      for (let k: usize = 0; k < c; k++) v -= load<f64>(a + (k << 3)) * load<f64>(l + c * ld + (k << 3))
      store<f64>(a + (c << 3), v / load<f64>(l + c * ld + (c << 3)))
    }
  }
}

/** L with A − S = L Lᵀ, in place of A: `[4, 4]` blocks. False when there is none. */
function factor4(a: usize, ld: usize, s: usize): bool {
  for (let r: usize = 0; r < 4; r++) {
    const row = a + r * ld
    for (let c: usize = 0; c <= r; c++) {
      let v = load<f64>(row + (c << 3)) - load<f64>(s + (r << 5) + (c << 3))
      for (let k: usize = 0; k < c; k++) v -= load<f64>(row + (k << 3)) * load<f64>(a + c * ld + (k << 3))
      if (c < r) store<f64>(row + (c << 3), v / load<f64>(a + c * ld + (c << 3)))
      else if (v > 0 && v < Infinity) store<f64>(row + (c << 3), sqrt(v))
      else return false
    }
  }
  return true
}

/** L with A = L Lᵀ; false when A is not positive definite. `scratch` holds 16 doubles. */
export function cholesky(a: usize, n: i32, scratch: usize): bool {
  const ld = <usize>n << 3
  for (let top = 0; top < n; top += BAND) {
    const bottom = min(n, top + BAND)
    for (let j = 0; j < bottom; j += 4) {
      const row = a + <usize>j * ld
      const corner = row + (<usize>j << 3)
      for (let i = max(top, j); i < bottom; i += 4) {
        const own = a + <usize>i * ld
        dots(own, row, ld, j, scratch)
        if (i > j) solve4(own + (<usize>j << 3), corner, ld, scratch)
        else if (!factor4(corner, ld, scratch)) return false
      }
    }
  }
  return true
}

/** y −= factor · x over n doubles. */
function subtract(y: usize, x: usize, factor: f64, n: i32): void {
  const f = f64x2.splat(factor)
  const end = x + (<usize>n << 3)
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, f64x2.sub(v128.load(y), f64x2.mul(f, v128.load(x))))
  if (x < end) store<f64>(y, load<f64>(y) - factor * load<f64>(x))
}

/**
 * Solves T X = B in place of B `[n, m]`. `byRow` and `byCol` are the bytes between rows and columns of T (swapped: Tᵀ);
 * `forward` when what is solved is lower triangular. False when a diagonal entry is 0.
 */
export function solve(t: usize, byRow: usize, byCol: usize, x: usize, n: i32, m: i32, forward: i32): bool {
  const ld = <usize>m << 3
  for (let step = 0; step < n; step++) {
    const i = forward ? step : n - 1 - step
    const own = x + <usize>i * ld
    for (let past = 0; past < step; past++) {
      const j = forward ? past : n - 1 - past
      const factor = load<f64>(t + <usize>i * byRow + <usize>j * byCol)
      if (factor !== 0) subtract(own, x + <usize>j * ld, factor, m)
    }
    const pivot = load<f64>(t + <usize>i * (byRow + byCol))
    if (pivot === 0) return false
    for (let c: usize = 0; c < ld; c += 8) store<f64>(own + c, load<f64>(own + c) / pivot)
  }
  return true
}

/** Inverse of a lower triangular `[4, 4]` block at `l`, all 16 entries at `out`. */
function invert4(l: usize, ld: usize, out: usize): void {
  for (let r: usize = 0; r < 4; r++) {
    const scale = 1 / load<f64>(l + r * ld + (r << 3))
    for (let c: usize = 0; c < 4; c++) {
      let v: f64 = c === r ? 1 : 0
      for (let k = c; k < r; k++) v -= load<f64>(l + r * ld + (k << 3)) * load<f64>(out + (k << 5) + (c << 3))
      store<f64>(out + (r << 5) + (c << 3), c > r ? 0 : v * scale)
    }
  }
}

/**
 * L⁻¹ in place of L; its transpose is left in the upper triangle. `scratch` holds 4 n + 16 doubles: the inverses of the
 * blocks on the diagonal, and sums.
 */
export function invertLower(l: usize, n: i32, scratch: usize): void {
  const ld = <usize>n << 3
  const sums = scratch + (<usize>n << 5)
  for (let j = 0; j < n; j += 4) invert4(l + <usize>j * (ld + 8), ld, scratch + (<usize>j << 5))
  for (let first = 0; first < n; first += BAND) {
    for (let i = first + 4; i < n; i += 4) {
      for (let j = first; j < min(i, first + BAND); j += 4) {
        const own = l + <usize>i * ld + (<usize>j << 3)
        dots(own + 32, l + <usize>j * (ld + 8) + 32, ld, i - j - 4, sums)
        addProduct(own, ld, scratch + (<usize>j << 5), sums)
        putTransposed(scratch + (<usize>i << 5), sums, l + <usize>j * ld + (<usize>i << 3), ld)
      }
    }
  }
  for (let i = 0; i < n; i++) {
    const own = l + <usize>i * ld
    const quad = i & ~3
    for (let j = 0; j < quad; j++) store<f64>(own + (<usize>j << 3), load<f64>(l + <usize>j * ld + (<usize>i << 3)))
    const inverted = scratch + (<usize>quad << 5) + (<usize>(i - quad) << 5)
    for (let c = 0; c <= i - quad; c++) store<f64>(own + (<usize>(quad + c) << 3), load<f64>(inverted + (<usize>c << 3)))
  }
}

/** sums += A B for `[4, 4]` blocks: rows of `a` `ld` bytes apart, `b` and `sums` dense. */
function addProduct(a: usize, ld: usize, b: usize, sums: usize): void {
  for (let r: usize = 0; r < 4; r++, a += ld, sums += 32) {
    for (let c: usize = 0; c < 32; c += 8) {
      let v = load<f64>(sums + c)
      for (let k: usize = 0; k < 4; k++) v += load<f64>(a + (k << 3)) * load<f64>(b + (k << 5) + c)
      store<f64>(sums + c, v)
    }
  }
}

/** (−M S)ᵀ for dense `[4, 4]` blocks, M lower triangular, to rows at `to`. */
function putTransposed(m: usize, s: usize, to: usize, ld: usize): void {
  for (let r: usize = 0; r < 4; r++) {
    for (let c: usize = 0; c < 4; c++) {
      let v: f64 = 0
      for (let k: usize = 0; k <= r; k++) v -= load<f64>(m + (r << 5) + (k << 3)) * load<f64>(s + (k << 5) + (c << 3))
      store<f64>(to + c * ld + (r << 3), v)
    }
  }
}

/** out = LᵀL, both triangles; `t` is for L transposed, `scratch` holds 16 doubles. */
export function lowerGram(l: usize, n: i32, out: usize, t: usize, scratch: usize): void {
  const ld = <usize>n << 3
  for (let i = 0; i < n; i++) {
    const band = min(n, (i & ~3) + 4)
    for (let j = 0; j < band; j++) {
      store<f64>(t + <usize>j * ld + (<usize>i << 3), j > i ? 0 : load<f64>(l + <usize>i * ld + (<usize>j << 3)))
    }
  }
  for (let top = 0; top < n; top += BAND) {
    const bottom = min(n, top + BAND)
    for (let j = 0; j < bottom; j += 4) {
      for (let i = max(top, j); i < bottom; i += 4) {
        const skip = <usize>i << 3
        dots(t + <usize>i * ld + skip, t + <usize>j * ld + skip, ld, n - i, scratch)
        for (let r = 0; r < 4; r++) {
          for (let c = 0; c < 4; c++) {
            const value = load<f64>(scratch + (<usize>r << 5) + (<usize>c << 3))
            store<f64>(out + <usize>(i + r) * ld + (<usize>(j + c) << 3), value)
            store<f64>(out + <usize>(j + c) * ld + (<usize>(i + r) << 3), value)
          }
        }
      }
    }
  }
}
