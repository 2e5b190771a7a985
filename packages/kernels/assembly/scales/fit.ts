// The scale of each group of weights with the least weighted squared error to a few rising levels, four weights at a time.
import { arg, floatArg, put, share } from '../inference/job'

/**
 * Arguments: values `[n, width]`, weights `[m, width]` (group i has row i % m), n, m, width (a multiple of 4; zeros with
 * weight 0 fill groups up), levels, count of levels, levels per unit where they are evenly spaced or else 0, shares of the
 * widest scale to start from, count of them, rounds of least squares behind each, whether groups have a zero point, scales
 * (float32 `[n]`), zero points (int32 `[n]`).
 */
export function scalesPart(part: i32, parts: i32): void {
  const n = arg(2)
  const m = arg(3)
  const bytes = <usize>arg(4) << 2
  const levels = <usize>arg(5)
  const count = arg(6)
  const perUnit = floatArg(7)
  const last = share(n, part + 1, parts)
  for (let i = share(n, part, parts); i < last; i++) {
    const values = <usize>arg(0) + <usize>i * bytes
    const weights = <usize>arg(1) + <usize>(i % m) * bytes
    const at = <usize>i << 2
    fit(values, weights, bytes, levels, count, perUnit, <usize>arg(12) + at, <usize>arg(13) + at)
  }
}

export function putScales(
  values: usize, weights: usize, n: i32, m: i32, width: i32, levels: usize, count: i32, perUnit: f32, shares: usize,
  starts: i32, rounds: i32, hasZero: i32, scales: usize, zeros: usize,
): void {
  put(0, values)
  put(1, weights)
  put(2, n)
  put(3, m)
  put(4, width)
  put(5, levels)
  put(6, count)
  put(7, perUnit)
  put(8, shares)
  put(9, starts)
  put(10, rounds)
  put(11, hasZero)
  put(12, scales)
  put(13, zeros)
}

function fit(
  values: usize, weights: usize, bytes: usize, levels: usize, count: i32, perUnit: f32, scaleAt: usize, zeroAt: usize,
): void {
  let low = f32x4.splat(0)
  let high = low
  for (let k: usize = 0; k < bytes; k += 16) {
    const x = v128.load(values + k)
    low = f32x4.min(low, x)
    high = f32x4.max(high, x)
  }
  const lowest = -across(f32x4.neg(low))
  const highest = across(high)
  const first = load<f32>(levels)
  const last = load<f32>(levels + (<usize>(count - 1) << 2))
  const hasZero = arg(11)
  const widest: f32 = hasZero
    ? (highest - lowest) / (last - first)
    : Mathf.max(-lowest, highest) / Mathf.max(-first, last)
  let least: f32 = Infinity
  let best = widest
  let bestZero = hasZero && widest > 0 ? indexOf(first - lowest / widest, first, count, perUnit) : 0

  for (let s = 0; s < arg(9); s++) {
    const part = load<f32>(<usize>arg(8) + (<usize>s << 2))
    let scale = part * widest
    if (!(scale > 0)) break
    const zero = hasZero ? indexOf(first - (part * lowest) / scale, first, count, perUnit) : 0
    const shift = hasZero ? load<f32>(levels + (<usize>zero << 2)) : 0
    for (let round = 0; round <= arg(10); round++) {
      let error = f32x4.splat(0)
      let crossed = error
      let squares = error
      const inverse = f32x4.splat(1 / scale)
      const scales = f32x4.splat(scale)
      const shifts = f32x4.splat(shift)
      for (let k: usize = 0; k < bytes; k += 16) {
        const x = v128.load(values + k)
        const weight = v128.load(weights + k)
        const wanted = f32x4.add(f32x4.mul(x, inverse), shifts)
        const near = perUnit > 0 ? onGrid(wanted, first, count, perUnit) : amongLevels(wanted, levels, count)
        const level = f32x4.sub(near, shifts)
        const lost = f32x4.sub(x, f32x4.mul(scales, level))
        const weighed = f32x4.mul(weight, level)
        error = f32x4.add(error, f32x4.mul(weight, f32x4.mul(lost, lost)))
        crossed = f32x4.add(crossed, f32x4.mul(weighed, x))
        squares = f32x4.add(squares, f32x4.mul(weighed, level))
      }
      const found = sum(error)
      if (found < least) {
        least = found
        best = scale
        bestZero = zero
      }
      const xl = sum(crossed)
      const ll = sum(squares)
      if (!(ll > 0 && xl > 0)) break
      scale = xl / ll
    }
  }
  store<f32>(scaleAt, best)
  store<i32>(zeroAt, bestZero)
}

/** The nearest of evenly spaced levels; of two equally near ones the lower. */
// @ts-expect-error: decorator
@inline
function onGrid(x: v128, first: f32, count: i32, perUnit: f32): v128 {
  const at = f32x4.mul(f32x4.sub(x, f32x4.splat(first)), f32x4.splat(perUnit))
  const up = f32x4.ceil(f32x4.sub(at, f32x4.splat(0.5)))
  const index = f32x4.min(f32x4.max(up, f32x4.splat(0)), f32x4.splat(<f32>(count - 1)))
  return f32x4.add(f32x4.splat(first), f32x4.mul(index, f32x4.splat(1 / perUnit)))
}

/** The nearest of any rising levels. */
// @ts-expect-error: decorator
@inline
function amongLevels(x: v128, levels: usize, count: i32): v128 {
  let near = f32x4.splat(load<f32>(levels))
  for (let l: usize = 4; l < <usize>count << 2; l += 4) {
    const level = load<f32>(levels + l)
    const before = load<f32>(levels + l - 4)
    near = v128.bitselect(f32x4.splat(level), near, f32x4.gt(x, f32x4.splat((before + level) / 2)))
  }
  return near
}

/** Index of the nearest of evenly spaced levels. */
function indexOf(x: f32, first: f32, count: i32, perUnit: f32): i32 {
  const at = Mathf.ceil((x - first) * perUnit - 0.5)
  return <i32>Mathf.max(0, Mathf.min(at, <f32>(count - 1)))
}

function across(x: v128): f32 {
  const half = f32x4.max(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1))
  return Mathf.max(f32x4.extract_lane(half, 0), f32x4.extract_lane(half, 1))
}

function sum(x: v128): f32 {
  const half = f32x4.add(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1)
}
