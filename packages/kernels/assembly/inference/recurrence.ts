// A matrix `[keyDim, valueDim]` for each head that decays, takes in keys times values and is read by queries. Columns do not
// depend on each other: some of them go through all positions before the next ones do, so that they stay in the cache.
import { arg, share } from './job'
import { madd } from './simd'

export function recurrencePart(part: i32, parts: i32): void {
  const heads = arg(10)
  const valueDim = arg(13)
  const end = share(heads, part + 1, parts)
  for (let head = share(heads, part, parts); head < end; head++) {
    let column = 0
    for (; column + 16 <= valueDim; column += 16) sixteenColumns(head, column)
    for (; column + 4 <= valueDim; column += 4) fourColumns(head, column)
    for (; column < valueDim; column++) oneColumn(head, column)
  }
}

/** Address of float `index` from `at` on. */
// @ts-expect-error: decorator
@inline
function float(at: usize, index: i32): usize {
  return at + ((<usize>index) << 2)
}

function sixteenColumns(head: i32, column: i32): void {
  const heads = arg(10)
  const keyDim = arg(12)
  const valueDim = arg(13)
  const isDelta = arg(14) !== 0
  const key = arg(3) + (head / arg(11)) * keyDim
  const query = arg(4) + (head / arg(11)) * keyDim
  const step = (<usize>valueDim) << 2
  const matrix = float(<usize>arg(5), head * keyDim * valueDim + column)
  const end = matrix + step * <usize>keyDim
  for (let t = 0; t < arg(9); t++) {
    const x = float(<usize>arg(0), t * arg(1))
    const left = v128.load_splat<f32>(float(<usize>arg(6), t * heads + head))
    const write = v128.load_splat<f32>(float(<usize>arg(7), t * heads + head))
    const v = float(x, arg(2) + head * valueDim + column)
    let u0 = v128.load(v)
    let u1 = v128.load(v, 16)
    let u2 = v128.load(v, 32)
    let u3 = v128.load(v, 48)
    if (isDelta) {
      let m0 = f32x4.splat(0)
      let m1 = m0
      let m2 = m0
      let m3 = m0
      let k = float(x, key)
      for (let s = matrix; s < end; s += step, k += 4) {
        const factor = v128.load_splat<f32>(k)
        m0 = madd(v128.load(s), factor, m0)
        m1 = madd(v128.load(s, 16), factor, m1)
        m2 = madd(v128.load(s, 32), factor, m2)
        m3 = madd(v128.load(s, 48), factor, m3)
      }
      u0 = f32x4.sub(u0, f32x4.mul(left, m0))
      u1 = f32x4.sub(u1, f32x4.mul(left, m1))
      u2 = f32x4.sub(u2, f32x4.mul(left, m2))
      u3 = f32x4.sub(u3, f32x4.mul(left, m3))
    }
    u0 = f32x4.mul(write, u0)
    u1 = f32x4.mul(write, u1)
    u2 = f32x4.mul(write, u2)
    u3 = f32x4.mul(write, u3)
    let y0 = f32x4.splat(0)
    let y1 = y0
    let y2 = y0
    let y3 = y0
    let k = float(x, key)
    let q = float(x, query)
    for (let s = matrix; s < end; s += step, k += 4, q += 4) {
      const factor = v128.load_splat<f32>(k)
      const reading = v128.load_splat<f32>(q)
      const s0 = madd(factor, u0, f32x4.mul(left, v128.load(s)))
      const s1 = madd(factor, u1, f32x4.mul(left, v128.load(s, 16)))
      const s2 = madd(factor, u2, f32x4.mul(left, v128.load(s, 32)))
      const s3 = madd(factor, u3, f32x4.mul(left, v128.load(s, 48)))
      v128.store(s, s0)
      v128.store(s, s1, 16)
      v128.store(s, s2, 32)
      v128.store(s, s3, 48)
      y0 = madd(s0, reading, y0)
      y1 = madd(s1, reading, y1)
      y2 = madd(s2, reading, y2)
      y3 = madd(s3, reading, y3)
    }
    const y = float(<usize>arg(8), (t * heads + head) * valueDim + column)
    v128.store(y, y0)
    v128.store(y, y1, 16)
    v128.store(y, y2, 32)
    v128.store(y, y3, 48)
  }
}

function fourColumns(head: i32, column: i32): void {
  const heads = arg(10)
  const keyDim = arg(12)
  const valueDim = arg(13)
  const isDelta = arg(14) !== 0
  const key = arg(3) + (head / arg(11)) * keyDim
  const query = arg(4) + (head / arg(11)) * keyDim
  const matrix = float(<usize>arg(5), head * keyDim * valueDim + column)
  for (let t = 0; t < arg(9); t++) {
    const x = float(<usize>arg(0), t * arg(1))
    const left = v128.load_splat<f32>(float(<usize>arg(6), t * heads + head))
    let u = v128.load(float(x, arg(2) + head * valueDim + column))
    if (isDelta) {
      let m = f32x4.splat(0)
      for (let i = 0; i < keyDim; i++) {
        m = madd(v128.load(float(matrix, i * valueDim)), v128.load_splat<f32>(float(x, key + i)), m)
      }
      u = f32x4.sub(u, f32x4.mul(left, m))
    }
    u = f32x4.mul(v128.load_splat<f32>(float(<usize>arg(7), t * heads + head)), u)
    let y = f32x4.splat(0)
    for (let i = 0; i < keyDim; i++) {
      const at = float(matrix, i * valueDim)
      const s = madd(v128.load_splat<f32>(float(x, key + i)), u, f32x4.mul(left, v128.load(at)))
      v128.store(at, s)
      y = madd(s, v128.load_splat<f32>(float(x, query + i)), y)
    }
    v128.store(float(<usize>arg(8), (t * heads + head) * valueDim + column), y)
  }
}

function oneColumn(head: i32, column: i32): void {
  const heads = arg(10)
  const keyDim = arg(12)
  const valueDim = arg(13)
  const isDelta = arg(14) !== 0
  const key = arg(3) + (head / arg(11)) * keyDim
  const query = arg(4) + (head / arg(11)) * keyDim
  const matrix = float(<usize>arg(5), head * keyDim * valueDim + column)
  for (let t = 0; t < arg(9); t++) {
    const x = float(<usize>arg(0), t * arg(1))
    const left = load<f32>(float(<usize>arg(6), t * heads + head))
    let u = load<f32>(float(x, arg(2) + head * valueDim + column))
    if (isDelta) {
      let m: f32 = 0
      for (let i = 0; i < keyDim; i++) {
        m += load<f32>(float(matrix, i * valueDim)) * load<f32>(float(x, key + i))
      }
      u -= left * m
    }
    u *= load<f32>(float(<usize>arg(7), t * heads + head))
    let y: f32 = 0
    for (let i = 0; i < keyDim; i++) {
      const at = float(matrix, i * valueDim)
      const s = left * load<f32>(at) + load<f32>(float(x, key + i)) * u
      store<f32>(at, s)
      y += s * load<f32>(float(x, query + i))
    }
    store<f32>(float(<usize>arg(8), (t * heads + head) * valueDim + column), y)
  }
}
