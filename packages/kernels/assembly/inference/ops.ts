// What happens between products: normalisation, rotary positions, gates. Rows are tokens, widths multiples of 4.
import { arg, floatArg, share } from './job'
import { exp4, storeRows, sum4 } from './simd'

/** out = x / rms(x) · w. Arguments: x, w, out, rows, width, eps. `out` may be `x`. */
export function rmsNormPart(part: i32, parts: i32): void {
  const rows = arg(3)
  const width = (<usize>arg(4)) << 2
  const w = <usize>arg(1)
  const last = share(rows, part + 1, parts)
  for (let r = share(rows, part, parts); r < last; r++) {
    const x = <usize>arg(0) + <usize>r * width
    const out = <usize>arg(2) + <usize>r * width
    let total = f32x4.splat(0)
    for (let i: usize = 0; i < width; i += 16) {
      const v = v128.load(x + i)
      total = f32x4.add(total, f32x4.mul(v, v))
    }
    const factor = f32x4.splat(1 / sqrt<f32>(sum4(total) / <f32>(width >> 2) + floatArg(5)))
    for (let i: usize = 0; i < width; i += 16) {
      v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), factor), v128.load(w + i)))
    }
  }
}

/** erf(x / √2), absolute error below 2e-7 (Abramowitz and Stegun 7.1.26). */
function erfOfRoot(x: v128): v128 {
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.70710678))
  const one = f32x4.splat(1)
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(z, f32x4.splat(0.3275911))))
  let p = f32x4.splat(1.061405429)
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592))
  const tail = f32x4.mul(f32x4.mul(p, t), exp4(f32x4.neg(f32x4.mul(z, z))))
  return v128.bitselect(f32x4.sub(one, tail), x, v128.splat<i32>(0x7fffffff))
}

/** gate = f(gate) · up, f = SiLU, (kind 1) GELU in its tanh form or (kind 2) GELU. Arguments: gate, up, count, kind. */
export function gatePart(part: i32, parts: i32): void {
  const vectors = arg(2) >> 2
  const one = f32x4.splat(1)
  const kind = arg(3)
  const end = (<usize>share(vectors, part + 1, parts)) << 4
  for (let i = (<usize>share(vectors, part, parts)) << 4; i < end; i += 16) {
    const x = v128.load(<usize>arg(0) + i)
    const up = v128.load(<usize>arg(1) + i)
    if (kind === 2) {
      const half = f32x4.mul(x, f32x4.splat(0.5))
      v128.store(<usize>arg(0) + i, f32x4.mul(f32x4.mul(half, f32x4.add(one, erfOfRoot(x))), up))
      continue
    }
    let z = x
    if (kind === 1) {
      // 0.5 (1 + tanh u) = sigmoid(2u), u = √(2/π) (x + 0.044715 x³)
      const cubic = f32x4.add(
        f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715 * 1.5957691216)),
        f32x4.splat(1.5957691216),
      )
      z = f32x4.mul(x, cubic)
    }
    const gated = f32x4.div(x, f32x4.add(one, exp4(f32x4.neg(z))))
    v128.store(<usize>arg(0) + i, f32x4.mul(gated, up))
  }
}

/** y = x for `count` floats. */
export function copy(y: usize, x: usize, count: i32): void {
  memory.copy(y, x, <usize>count << 2)
}

/** y += x for `count` floats. */
export function addInPlace(y: usize, x: usize, count: i32): void {
  const end = y + ((<usize>count) << 2)
  for (; y < end; y += 16, x += 16) v128.store(y, f32x4.add(v128.load(y), v128.load(x)))
}

/** y += factor · x for `count` floats. */
export function addScaled(y: usize, x: usize, count: i32, factor: f32): void {
  const f = f32x4.splat(factor)
  const end = y + ((<usize>count) << 2)
  for (; y < end; y += 16, x += 16) v128.store(y, f32x4.add(v128.load(y), f32x4.mul(v128.load(x), f)))
}

/** y (+)= x · w for rows of x. Arguments: x, w, y, floats between rows of y, rows, width, accumulate. `y` may be `x`. */
export function multiplyRowsPart(part: i32, parts: i32): void {
  const width = arg(5)
  const last = share(arg(4), part + 1, parts)
  for (let r = share(arg(4), part, parts); r < last; r++) {
    const x = <usize>arg(0) + ((<usize>(r * width)) << 2)
    multiplyRow(x, arg(1), <usize>arg(2) + ((<usize>(r * arg(3))) << 2), width, arg(6) !== 0)
  }
}

export function multiplyRow(x: usize, w: usize, y: usize, width: i32, accumulate: bool): void {
  for (; width >= 4; width -= 4, w += 16, x += 16, y += 16) {
    const value = f32x4.mul(v128.load(x), v128.load(w))
    v128.store(y, accumulate ? f32x4.add(v128.load(y), value) : value)
  }
  if (width > 0) storeRows(y, f32x4.mul(v128.load(x), v128.load(w)), width, accumulate)
}

/** Adds `bias` to each of `rows` rows of `width` floats. */
export function addBias(x: usize, bias: usize, rows: i32, width: i32): void {
  for (let r = 0; r < rows; r++) {
    addInPlace(x, bias, width)
    x += (<usize>width) << 2
  }
}

/**
 * Turns the pairs of each head by its token's angles: (i, i + pairs), or (2i, 2i + 1) of an interleaved one; dimensions
 * after them stay. Arguments: x, cos, sin `[tokens, pairs]`, tokens, heads, headDim, pairs, interleaved.
 */
export function ropePart(part: i32, parts: i32): void {
  const tokens = arg(3)
  const heads = arg(4)
  const pairs = arg(6)
  const interleaved = arg(7) !== 0
  const width = (<usize>arg(5)) << 2
  const last = share(tokens, part + 1, parts)
  for (let t = share(tokens, part, parts); t < last; t++) {
    const cos = <usize>arg(1) + ((<usize>(t * pairs)) << 2)
    const sin = <usize>arg(2) + ((<usize>(t * pairs)) << 2)
    for (let h = 0; h < heads; h++) {
      const head = <usize>arg(0) + <usize>(t * heads + h) * width
      if (interleaved) turnNeighbours(head, cos, sin, pairs)
      else turnHalves(head, cos, sin, pairs)
    }
  }
}

// @ts-expect-error: decorator
@inline
function turnHalves(a: usize, cos: usize, sin: usize, pairs: i32): void {
  const b = (<usize>pairs) << 2
  let i: usize = 0
  for (; i + 16 <= b; i += 16, a += 16) {
    const x = v128.load(a)
    const y = v128.load(a + b)
    const c = v128.load(cos + i)
    const s = v128.load(sin + i)
    v128.store(a, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)))
    v128.store(a + b, f32x4.add(f32x4.mul(y, c), f32x4.mul(x, s)))
  }
  for (; i < b; i += 4, a += 4) {
    const x = load<f32>(a)
    const y = load<f32>(a + b)
    const c = load<f32>(cos + i)
    const s = load<f32>(sin + i)
    store<f32>(a, x * c - y * s)
    store<f32>(a + b, y * c + x * s)
  }
}

function turnNeighbours(a: usize, cos: usize, sin: usize, pairs: i32): void {
  const end = (<usize>pairs) << 2
  for (let i: usize = 0; i < end; i += 4, a += 8) {
    const x = load<f32>(a)
    const y = load<f32>(a, 4)
    const c = load<f32>(cos + i)
    const s = load<f32>(sin + i)
    store<f32>(a, x * c - y * s)
    store<f32>(a, y * c + x * s, 4)
  }
}
