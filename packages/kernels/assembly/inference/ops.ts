// What happens between products: normalisation, rotary positions, gates. Rows are tokens, widths multiples of 4.
import { arg, floatArg, share } from './job'
import { exp4, sum4 } from './simd'

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

/** gate = f(gate) · up, f = SiLU or (kind 1) GELU in its tanh form. Arguments: gate, up, count, kind. */
export function gatePart(part: i32, parts: i32): void {
  const vectors = arg(2) >> 2
  const one = f32x4.splat(1)
  const gelu = arg(3) === 1
  const end = (<usize>share(vectors, part + 1, parts)) << 4
  for (let i = (<usize>share(vectors, part, parts)) << 4; i < end; i += 16) {
    const x = v128.load(<usize>arg(0) + i)
    let z = x
    if (gelu) {
      // 0.5 (1 + tanh u) = sigmoid(2u), u = √(2/π) (x + 0.044715 x³)
      const cubic = f32x4.add(
        f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715 * 1.5957691216)),
        f32x4.splat(1.5957691216),
      )
      z = f32x4.mul(x, cubic)
    }
    const gated = f32x4.div(x, f32x4.add(one, exp4(f32x4.neg(z))))
    v128.store(<usize>arg(0) + i, f32x4.mul(gated, v128.load(<usize>arg(1) + i)))
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

/** out = x · w for `rows` rows of `width` floats. */
export function multiplyRows(x: usize, w: usize, out: usize, rows: i32, width: i32): void {
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < width; i += 4) {
      const at = (<usize>i) << 2
      v128.store(out + at, f32x4.mul(v128.load(x + at), v128.load(w + at)))
    }
    x += (<usize>width) << 2
    out += (<usize>width) << 2
  }
}

/** Adds `bias` to each of `rows` rows of `width` floats. */
export function addBias(x: usize, bias: usize, rows: i32, width: i32): void {
  for (let r = 0; r < rows; r++) {
    addInPlace(x, bias, width)
    x += (<usize>width) << 2
  }
}

/**
 * Turns pairs (i, i + half) of each head by its token's angles. Arguments: x, cos, sin `[tokens, half]`, tokens,
 * heads, half.
 */
export function ropePart(part: i32, parts: i32): void {
  const tokens = arg(3)
  const heads = arg(4)
  const half = arg(5)
  const last = share(tokens, part + 1, parts)
  for (let t = share(tokens, part, parts); t < last; t++) {
    const cos = <usize>arg(1) + ((<usize>(t * half)) << 2)
    const sin = <usize>arg(2) + ((<usize>(t * half)) << 2)
    for (let h = 0; h < heads; h++) {
      let a = <usize>arg(0) + ((<usize>((t * heads + h) * half)) << 3)
      const b = (<usize>half) << 2
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
  }
}
