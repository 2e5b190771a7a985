// Small vector helpers of the inference module.

/** a · b + c, fused where the build allows it. */
// @ts-expect-error: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** `madd` for two doubles. */
// @ts-expect-error: decorator
@inline
export function madd64(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(a, b, c)
  return f64x2.add(f64x2.mul(a, b), c)
}

/** The largest absolute value of `count` floats, a multiple of 4; NaN where one of them is. */
export function largest(x: usize, count: i32): f32 {
  let top = f32x4.splat(0)
  let odd = top
  for (const end = x + ((<usize>count) << 2); x < end; x += 16) {
    const v = v128.load(x)
    top = f32x4.pmax(top, f32x4.abs(v))
    odd = v128.or(odd, f32x4.ne(v, v))
  }
  return v128.any_true(odd) ? NaN : largestOf(top)
}

/** The largest of the four lanes. */
export function largestOf(top: v128): f32 {
  top = f32x4.pmax(top, v128.shuffle<i32>(top, top, 2, 3, 0, 1))
  top = f32x4.pmax(top, v128.shuffle<i32>(top, top, 1, 0, 3, 2))
  return f32x4.extract_lane(top, 0)
}

/** Sum of the four lanes, ((0 + 2) + (1 + 3)). */
// @ts-expect-error: decorator
@inline
export function sum4(a: v128): f32 {
  const b = f32x4.add(a, v128.shuffle<i32>(a, a, 2, 3, 0, 1))
  return f32x4.extract_lane(b, 0) + f32x4.extract_lane(b, 1)
}

/** `[sum4(a), sum4(b), sum4(c), sum4(d)]`, each in the order of `sum4`. */
// @ts-expect-error: decorator
@inline
export function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7))
  const cd = f32x4.add(v128.shuffle<i32>(c, d, 0, 1, 4, 5), v128.shuffle<i32>(c, d, 2, 3, 6, 7))
  return f32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7))
}

/** 1.5 · 2^23: what is added to it is rounded to a whole number, which its lowest bits hold. */
export const WHOLE: f32 = 12582912

/** Four floats of at most 2^22 to the nearest whole numbers. */
// @ts-expect-error: decorator
@inline
export function nearest4(x: v128): v128 {
  return i32x4.sub(f32x4.add(x, f32x4.splat(WHOLE)), i32x4.splat(0x4b400000))
}

/** e^x for four lanes: 2^n · polynomial (Cephes), relative error about 1e-7. */
export function exp4(x: v128): v128 {
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87.33654)), f32x4.splat(88.3762))
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504)), f32x4.splat(WHOLE))
  const n = f32x4.sub(shifted, f32x4.splat(WHOLE))
  x = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)))
  x = f32x4.add(x, f32x4.mul(n, f32x4.splat(2.12194440e-4)))
  let p = f32x4.splat(1.9875691500e-4)
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.3981999507e-3))
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(8.3334519073e-3))
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(4.1665795894e-2))
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.6666665459e-1))
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(5.0000001201e-1))
  p = f32x4.add(f32x4.mul(p, f32x4.mul(x, x)), f32x4.add(x, f32x4.splat(1)))
  return f32x4.mul(p, i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(127 << 23)))
}

/** limit · tanh(x / limit) = limit · (1 − 2 / (1 + e^(factor · x))), factor = 2 / limit. */
export function squashed(x: v128, limit: v128, factor: v128): v128 {
  const one = f32x4.splat(1)
  const e = exp4(f32x4.mul(x, factor))
  return f32x4.mul(limit, f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(one, e))))
}

/** Stores the first `count` of four values, or adds them to what is there. */
export function storeRows(y: usize, value: v128, count: i32, accumulate: bool): void {
  if (count >= 4) {
    v128.store(y, accumulate ? f32x4.add(v128.load(y), value) : value)
    return
  }
  for (let i = 0; i < count; i++) {
    const lane = f32x4.extract_lane(value, 0)
    store<f32>(y, accumulate ? load<f32>(y) + lane : lane)
    y += 4
    value = v128.shuffle<i32>(value, value, 1, 2, 3, 0)
  }
}

/** Zeroes `bytes` bytes, a multiple of 16; helper threads must not use `memory.fill`, see `job.ts`. */
export function zero(at: usize, bytes: usize): void {
  for (const end = at + bytes; at < end; at += 16) v128.store(at, f32x4.splat(0))
}
