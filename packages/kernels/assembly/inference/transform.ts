// One factor of a Kronecker transform on each of `rows` rows of `width` floats, seen as `[outer, order, inner]`.
import { arg, share } from './job'
import { madd } from './simd'

/** Sylvester's factor, in place, scaled to be orthogonal. Arguments: x, rows, width, order, inner. */
export function butterfliesPart(part: i32, parts: i32): void {
  const width = <usize>arg(2) << 2
  const block = <usize>(arg(3) * arg(4)) << 2
  const first = <usize>arg(4) << 2
  const from = <usize>arg(0) + <usize>share(arg(1), part, parts) * width
  const to = <usize>arg(0) + <usize>share(arg(1), part + 1, parts) * width
  for (let half = first; half < block; half <<= 1) {
    if (half === 4) neighbours(from, to)
    else if (half === 8) pairs(from, to)
    else if ((half & 15) === 0) {
      for (let at = from; at < to; at += half) {
        for (const end = at + half; at < end; at += 16) {
          const a = v128.load(at)
          const b = v128.load(at + half)
          v128.store(at, f32x4.add(a, b))
          v128.store(at + half, f32x4.sub(a, b))
        }
      }
    } else {
      for (let at = from; at < to; at += half) {
        for (const end = at + half; at < end; at += 4) {
          const a = load<f32>(at)
          const b = load<f32>(at + half)
          store<f32>(at, a + b)
          store<f32>(at + half, a - b)
        }
      }
    }
  }
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>arg(3)))
  for (let at = from; at < to; at += 16) v128.store(at, f32x4.mul(v128.load(at), scale))
}

/** The stage at distance 1. */
function neighbours(from: usize, to: usize): void {
  const signs = f32x4(1, -1, 1, -1)
  for (let at = from; at < to; at += 16) {
    const v = v128.load(at)
    const even = v128.shuffle<i32>(v, v, 0, 0, 2, 2)
    v128.store(at, f32x4.add(even, f32x4.mul(v128.shuffle<i32>(v, v, 1, 1, 3, 3), signs)))
  }
}

/** The stage at distance 2. */
function pairs(from: usize, to: usize): void {
  const signs = f32x4(1, 1, -1, -1)
  for (let at = from; at < to; at += 16) {
    const v = v128.load(at)
    const low = v128.shuffle<i32>(v, v, 0, 1, 0, 1)
    v128.store(at, f32x4.add(low, f32x4.mul(v128.shuffle<i32>(v, v, 2, 3, 2, 3), signs)))
  }
}

/** A dense factor `[order, order]`, in place. Arguments: x, rows, width, order, inner, matrix, 16·order bytes per thread. */
export function densePart(part: i32, parts: i32): void {
  const width = <usize>arg(2) << 2
  const order = <usize>arg(3)
  const inner = <usize>arg(4) << 2
  const matrix = <usize>arg(5)
  const copy = <usize>arg(6) + <usize>part * (order << 4)
  const to = <usize>arg(0) + <usize>share(arg(1), part + 1, parts) * width
  for (let block = <usize>arg(0) + <usize>share(arg(1), part, parts) * width; block < to; block += order * inner) {
    let c: usize = 0
    for (; c + 16 <= inner; c += 16) mixFour(block + c, order, inner, matrix, copy)
    for (; c < inner; c += 4) mixOne(block + c, order, inner, matrix, copy)
  }
}

function mixFour(x: usize, order: usize, inner: usize, m: usize, copy: usize): void {
  for (let j: usize = 0; j < order; j++) v128.store(copy + (j << 4), v128.load(x + j * inner))
  for (let i: usize = 0; i < order; i++) {
    let sum = f32x4.splat(0)
    for (let j: usize = 0; j < order; j++) {
      sum = madd(v128.load_splat<f32>(m), v128.load(copy + (j << 4)), sum)
      m += 4
    }
    v128.store(x, sum)
    x += inner
  }
}

function mixOne(x: usize, order: usize, inner: usize, m: usize, copy: usize): void {
  for (let j: usize = 0; j < order; j++) store<f32>(copy + (j << 2), load<f32>(x + j * inner))
  for (let i: usize = 0; i < order; i++) {
    let sum: f32 = 0
    for (let j: usize = 0; j < order; j++) {
      sum += load<f32>(m) * load<f32>(copy + (j << 2))
      m += 4
    }
    store<f32>(x, sum)
    x += inner
  }
}
