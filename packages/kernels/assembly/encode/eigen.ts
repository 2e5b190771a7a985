// Reduction of a symmetric float64 matrix to tridiagonal form, its basis, and the rotations of implicit QL.

// @ts-expect-error: decorator
@inline
function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1)
}

/** row −= a·x + b·y, and returns row · v, over n doubles. */
function updateAndDot(row: usize, x: usize, a: f64, y: usize, b: f64, v: usize, n: i32): f64 {
  const fa = f64x2.splat(a)
  const fb = f64x2.splat(b)
  let sum = f64x2.splat(0)
  const end = row + (<usize>n << 3)
  for (; row + 16 <= end; row += 16, x += 16, y += 16, v += 16) {
    const r = f64x2.sub(f64x2.sub(v128.load(row), f64x2.mul(fa, v128.load(x))), f64x2.mul(fb, v128.load(y)))
    v128.store(row, r)
    sum = f64x2.add(sum, f64x2.mul(r, v128.load(v)))
  }
  let total = sum2(sum)
  if (row < end) {
    const r = load<f64>(row) - a * load<f64>(x) - b * load<f64>(y)
    store<f64>(row, r)
    total += r * load<f64>(v)
  }
  return total
}

/**
 * Householder reduction: row k of `a`, right of the diagonal, becomes the reflector of step k. `scratch` holds 2 n
 * doubles. The update of step k and the product of step k + 1 share one pass over the matrix.
 */
export function tridiagonalise(a: usize, n: i32, off: usize, taus: usize, scratch: usize): void {
  const ld = <usize>n << 3
  let p = scratch
  let next = scratch + ld
  memory.fill(taus, 0, ld)
  memory.fill(p, 0, ld)
  // v of the step before, absent at first: its rank-2 update is still to be applied to all rows below k.
  for (let k = 0; k < n - 2; k++) {
    const v = a + <usize>k * ld
    const old = a + <usize>(k - 1) * ld
    if (k > 0) {
      // Row k alone first: it is the next reflector.
      const own = <usize>k << 3
      updateAndDot(v + own, p + own, load<f64>(old + own), old + own, load<f64>(p + own), v + own, n - k)
    }
    const tau = reflector(v, n, k, off)
    store<f64>(taus + (<usize>k << 3), tau)
    const from = <usize>(k + 1) << 3
    let dot: f64 = 0
    for (let i = k + 1; i < n; i++) {
      const at = <usize>i << 3
      const row = a + <usize>i * ld
      const vi: f64 = k > 0 ? load<f64>(old + at) : 0
      const pi: f64 = k > 0 ? load<f64>(p + at) : 0
      const before = k > 0 ? old : v
      const product = tau * updateAndDot(row + from, p + from, vi, before + from, pi, v + from, n - k - 1)
      store<f64>(next + at, product)
      dot += product * load<f64>(v + at)
    }
    const half = tau * dot / 2
    for (let i = k + 1; i < n; i++) {
      const at = <usize>i << 3
      store<f64>(next + at, load<f64>(next + at) - half * load<f64>(v + at))
    }
    const spare = p
    p = next
    next = spare
  }
  if (n > 2) {
    const old = a + <usize>(n - 3) * ld
    for (let i = n - 2; i < n; i++) {
      const at = <usize>i << 3
      const from = <usize>(n - 2) << 3
      const row = a + <usize>i * ld
      updateAndDot(row + from, p + from, load<f64>(old + at), old + from, load<f64>(p + at), row + from, 2)
    }
  }
  if (n > 1) store<f64>(off + (<usize>(n - 2) << 3), load<f64>(a + <usize>(n - 2) * ld + (<usize>(n - 1) << 3)))
}

/** Makes the reflector of step k from row `v`; returns its factor (0: nothing to reflect, the update is zero). */
function reflector(v: usize, n: i32, k: i32, off: usize): f64 {
  const first = v + (<usize>(k + 1) << 3)
  const end = v + (<usize>n << 3)
  const head = load<f64>(first)
  let squares: f64 = 0
  for (let at = first + 8; at < end; at += 8) squares += load<f64>(at) * load<f64>(at)
  if (squares === 0) {
    store<f64>(off + (<usize>k << 3), head)
    return 0
  }
  const norm = sqrt(squares + head * head)
  const image = head > 0 ? -norm : norm
  const scale = 1 / (head - image)
  store<f64>(first, 1)
  for (let at = first + 8; at < end; at += 8) store<f64>(at, load<f64>(at) * scale)
  store<f64>(off + (<usize>k << 3), image)
  return (image - head) / image
}

/** Qᵀ from the reflectors in the rows of `a`, four rows of the result at a time. */
export function accumulate(a: usize, taus: usize, n: i32, qt: usize): void {
  const ld = <usize>n << 3
  memory.fill(qt, 0, <usize>n * ld)
  for (let i = 0; i < n; i++) store<f64>(qt + <usize>i * ld + (<usize>i << 3), 1)
  for (let i0 = 0; i0 < n; i0 += 4) {
    const height = min(4, n - i0)
    for (let k = min(n - 3, i0 + height - 2); k >= 0; k--) {
      const tau = load<f64>(taus + (<usize>k << 3))
      if (tau === 0) continue
      const skip = <usize>(k + 1) << 3
      const v = a + <usize>k * ld + skip
      const x = qt + <usize>i0 * ld + skip
      if (height === 4) reflect4(x, ld, v, tau, n - k - 1)
      else for (let r = 0; r < height; r++) reflect(x + <usize>r * ld, v, tau, n - k - 1)
    }
  }
}

/** x −= τ (x · v) v for four rows x of n doubles, `ld` bytes apart. */
function reflect4(x: usize, ld: usize, v: usize, tau: f64, n: i32): void {
  const bytes = <usize>n << 3
  const even = bytes & ~15
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  for (let at: usize = 0; at < even; at += 16) {
    const y = v128.load(v + at)
    const from = x + at
    s0 = f64x2.add(s0, f64x2.mul(v128.load(from), y))
    s1 = f64x2.add(s1, f64x2.mul(v128.load(from + ld), y))
    s2 = f64x2.add(s2, f64x2.mul(v128.load(from + 2 * ld), y))
    s3 = f64x2.add(s3, f64x2.mul(v128.load(from + 3 * ld), y))
  }
  const odd = even < bytes
  const last = odd ? load<f64>(v + even) : 0
  const end = x + even
  const d0 = tau * (sum2(s0) + (odd ? load<f64>(end) * last : 0))
  const d1 = tau * (sum2(s1) + (odd ? load<f64>(end + ld) * last : 0))
  const d2 = tau * (sum2(s2) + (odd ? load<f64>(end + 2 * ld) * last : 0))
  const d3 = tau * (sum2(s3) + (odd ? load<f64>(end + 3 * ld) * last : 0))
  s0 = f64x2.splat(d0)
  s1 = f64x2.splat(d1)
  s2 = f64x2.splat(d2)
  s3 = f64x2.splat(d3)
  for (let at: usize = 0; at < even; at += 16) {
    const y = v128.load(v + at)
    const to = x + at
    v128.store(to, f64x2.sub(v128.load(to), f64x2.mul(s0, y)))
    v128.store(to + ld, f64x2.sub(v128.load(to + ld), f64x2.mul(s1, y)))
    v128.store(to + 2 * ld, f64x2.sub(v128.load(to + 2 * ld), f64x2.mul(s2, y)))
    v128.store(to + 3 * ld, f64x2.sub(v128.load(to + 3 * ld), f64x2.mul(s3, y)))
  }
  if (!odd) return
  store<f64>(end, load<f64>(end) - d0 * last)
  store<f64>(end + ld, load<f64>(end + ld) - d1 * last)
  store<f64>(end + 2 * ld, load<f64>(end + 2 * ld) - d2 * last)
  store<f64>(end + 3 * ld, load<f64>(end + 3 * ld) - d3 * last)
}

/** x −= τ (x · v) v over n doubles. */
function reflect(x: usize, v: usize, tau: f64, n: i32): void {
  let sum = f64x2.splat(0)
  const bytes = <usize>n << 3
  let at: usize = 0
  for (; at + 16 <= bytes; at += 16) sum = f64x2.add(sum, f64x2.mul(v128.load(x + at), v128.load(v + at)))
  let dot = sum2(sum)
  if (at < bytes) dot += load<f64>(x + at) * load<f64>(v + at)
  dot *= tau
  const factor = f64x2.splat(dot)
  for (at = 0; at + 16 <= bytes; at += 16) {
    v128.store(x + at, f64x2.sub(v128.load(x + at), f64x2.mul(factor, v128.load(v + at))))
  }
  if (at < bytes) store<f64>(x + at, load<f64>(x + at) - dot * load<f64>(v + at))
}

/** Columns that are rotated together: their rows stay in the second-level cache over many sweeps. */
const PANEL: i32 = 32

/**
 * Applies sweeps of rotations to rows of `z` `[n, n]`. `sweeps` lists pairs (first row, count) of int32; `cs` holds
 * c, s of all rotations in order. Rotation r of a sweep turns rows first − r and first − r + 1.
 */
export function rotateRows(z: usize, n: i32, sweeps: usize, sweepCount: i32, cs: usize): void {
  const ld = <usize>n << 3
  for (let j = 0; j < n; j += PANEL) {
    const width = <usize>min(PANEL, n - j) << 3
    let rotation = cs
    for (let s = 0; s < sweepCount; s++) {
      let upper = z + <usize>load<i32>(sweeps + (<usize>s << 3)) * ld + (<usize>j << 3)
      const count = load<i32>(sweeps + (<usize>s << 3), 4)
      for (let r = 0; r < count; r++, upper -= ld, rotation += 16) {
        const lower = upper + ld
        const c = v128.load_splat<f64>(rotation)
        const d = v128.load_splat<f64>(rotation, 8)
        let at: usize = 0
        for (; at + 16 <= width; at += 16) {
          const f = v128.load(lower + at)
          const e = v128.load(upper + at)
          v128.store(lower + at, f64x2.add(f64x2.mul(d, e), f64x2.mul(c, f)))
          v128.store(upper + at, f64x2.sub(f64x2.mul(c, e), f64x2.mul(d, f)))
        }
        if (at < width) {
          const f = load<f64>(lower + at)
          const e = load<f64>(upper + at)
          store<f64>(lower + at, load<f64>(rotation, 8) * e + load<f64>(rotation) * f)
          store<f64>(upper + at, load<f64>(rotation) * e - load<f64>(rotation, 8) * f)
        }
      }
    }
  }
}
