// What the logits of a prediction say. Vectors of `n` floats are filled up to a multiple of 4 with the same large negative number;
// sums are float64.
import { exp4 } from '../inference/simd'

/** Index of the largest; the first of several. */
export function likeliest(x: usize, n: i32): i32 {
  let top = v128.load(x)
  for (let i: usize = 16; i < <usize>n << 2; i += 16) top = f32x4.max(top, v128.load(x + i))
  top = f32x4.max(top, v128.shuffle<i32>(top, top, 2, 3, 0, 1))
  top = f32x4.max(top, v128.shuffle<i32>(top, top, 1, 0, 3, 2))
  for (let i = 0; i < n; i += 4) {
    const found = i32x4.bitmask(f32x4.eq(v128.load(x + (<usize>i << 2)), top))
    if (found !== 0) return i + ctz(found)
  }
  return 0
}

/** How many are larger than `own`. */
export function larger(x: usize, n: i32, own: f32): i32 {
  const limit = f32x4.splat(own)
  let count = i32x4.splat(0)
  for (let i: usize = 0; i < <usize>n << 2; i += 16) count = i32x4.sub(count, f32x4.gt(v128.load(x + i), limit))
  const half = i32x4.add(count, v128.shuffle<i32>(count, count, 2, 3, 0, 1))
  return i32x4.extract_lane(half, 0) + i32x4.extract_lane(half, 1)
}

// @ts-expect-error: decorator
@inline
function added(sums: v128, x: v128): v128 {
  const high = v128.shuffle<i32>(x, x, 2, 3, 0, 1)
  return f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(high)))
}

/** Σ e^(x − top). */
export function sumExp(x: usize, n: i32, top: f32): f64 {
  const shift = f32x4.splat(top)
  let sums = f64x2.splat(0)
  for (let i: usize = 0; i < <usize>n << 2; i += 16) sums = added(sums, exp4(f32x4.sub(v128.load(x + i), shift)))
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
}

/** Σ e^(p − top) · (p − q). */
export function weightedDifference(p: usize, q: usize, n: i32, top: f32): f64 {
  const shift = f32x4.splat(top)
  let sums = f64x2.splat(0)
  for (let i: usize = 0; i < <usize>n << 2; i += 16) {
    const x = v128.load(p + i)
    sums = added(sums, f32x4.mul(exp4(f32x4.sub(x, shift)), f32x4.sub(x, v128.load(q + i))))
  }
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
}
