// Cholesky factorisation and triangular inverses of row-major float64 matrices, in place in the lower triangle.
// Four rows at a time, so that each earlier row is read once for them.

// @ts-expect-error: decorator
@inline
function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1)
}

function dot(a: usize, b: usize, n: i32): f64 {
  let sum = f64x2.splat(0)
  const end = a + (<usize>n << 3)
  for (; a + 16 <= end; a += 16, b += 16) sum = f64x2.add(sum, f64x2.mul(v128.load(a), v128.load(b)))
  return sum2(sum) + (a < end ? load<f64>(a) * load<f64>(b) : 0)
}

/** Four dot products of rows at `a` (`ld` bytes apart) with `b`, left in the four doubles at `out`. */
function dot4(a: usize, ld: usize, b: usize, n: i32, out: usize): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  const end = a + (<usize>n << 3)
  for (; a + 16 <= end; a += 16, b += 16) {
    const v = v128.load(b)
    s0 = f64x2.add(s0, f64x2.mul(v128.load(a), v))
    s1 = f64x2.add(s1, f64x2.mul(v128.load(a + ld), v))
    s2 = f64x2.add(s2, f64x2.mul(v128.load(a + 2 * ld), v))
    s3 = f64x2.add(s3, f64x2.mul(v128.load(a + 3 * ld), v))
  }
  const v = a < end ? load<f64>(b) : 0
  const odd = a < end
  store<f64>(out, sum2(s0) + (odd ? load<f64>(a) * v : 0))
  store<f64>(out, sum2(s1) + (odd ? load<f64>(a + ld) * v : 0), 8)
  store<f64>(out, sum2(s2) + (odd ? load<f64>(a + 2 * ld) * v : 0), 16)
  store<f64>(out, sum2(s3) + (odd ? load<f64>(a + 3 * ld) * v : 0), 24)
}

/** L with A = L Lᵀ; false when A is not positive definite. `scratch` holds 4 doubles. */
export function cholesky(a: usize, n: i32, scratch: usize): bool {
  const ld = <usize>n << 3
  for (let i0 = 0; i0 < n; i0 += 4) {
    const height = min(4, n - i0)
    const rows = a + <usize>i0 * ld
    for (let j = 0; j < i0 + height; j++) {
      const row = a + <usize>j * ld
      const diagonal = row + (<usize>j << 3)
      if (height === 4 && j < i0) {
        dot4(rows, ld, row, j, scratch)
      } else {
        for (let r = max(0, j - i0); r < height; r++) store<f64>(scratch + (<usize>r << 3), dot(rows + <usize>r * ld, row, j))
      }
      if (j >= i0) {
        const pivot = load<f64>(diagonal) - load<f64>(scratch + (<usize>(j - i0) << 3))
        if (!(pivot > 0 && pivot < Infinity)) return false
        store<f64>(diagonal, sqrt(pivot))
      }
      const divisor = load<f64>(diagonal)
      for (let r = max(0, j - i0 + 1); r < height; r++) {
        const at = rows + <usize>r * ld + (<usize>j << 3)
        store<f64>(at, (load<f64>(at) - load<f64>(scratch + (<usize>r << 3))) / divisor)
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

/** L⁻¹ in place of L. `scratch` holds 4 rows. */
export function invertLower(l: usize, n: i32, scratch: usize): void {
  const ld = <usize>n << 3
  for (let i0 = 0; i0 < n; i0 += 4) {
    const height = min(4, n - i0)
    memory.fill(scratch, 0, 4 * ld)
    for (let j = 0; j < i0 + height; j++) {
      const row = l + <usize>j * ld
      for (let r = max(0, j - i0); r < height; r++) {
        const i = i0 + r
        const own = l + <usize>i * ld
        const sums = scratch + <usize>r * ld
        if (j < i) subtract(sums, row, load<f64>(own + (<usize>j << 3)), j + 1)
        else {
          const scale = 1 / load<f64>(own + (<usize>i << 3))
          for (let c = 0; c < i; c++) store<f64>(own + (<usize>c << 3), load<f64>(sums + (<usize>c << 3)) * scale)
          store<f64>(own + (<usize>i << 3), scale)
        }
      }
    }
  }
}

/** out = LᵀL, both triangles; `t` holds a copy of L transposed, `scratch` 4 doubles. */
export function lowerGram(l: usize, n: i32, out: usize, t: usize, scratch: usize): void {
  const ld = <usize>n << 3
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      store<f64>(t + <usize>j * ld + (<usize>i << 3), load<f64>(l + <usize>i * ld + (<usize>j << 3)))
    }
  }
  for (let i = 0; i < n; i++) {
    const skip = <usize>i << 3
    const row = t + <usize>i * ld + skip
    let j = 0
    for (; j + 4 <= i + 1; j += 4) {
      dot4(t + <usize>j * ld + skip, ld, row, n - i, scratch)
      for (let r = 0; r < 4; r++) put(out, ld, i, j + r, load<f64>(scratch + (<usize>r << 3)))
    }
    for (; j <= i; j++) put(out, ld, i, j, dot(t + <usize>j * ld + skip, row, n - i))
  }
}

function put(out: usize, ld: usize, i: i32, j: i32, value: f64): void {
  store<f64>(out + <usize>i * ld + (<usize>j << 3), value)
  store<f64>(out + <usize>j * ld + (<usize>i << 3), value)
}
