// Rotations of rows: signs, and a Kronecker transform, each factor of which sees a row as `[outer, order, inner]`.
import { arg, share } from './job'
import { multiplyRow } from './ops'

/**
 * Rows of `width` floats, a multiple of 4. y = T (x · signs), or y (+)= signs · T x, which changes x. Factors are three words each:
 * order, inner, and address of a matrix `[order, order]`, 0 for Sylvester's, whose inner is 1; a matrix of order 12 is Paley's.
 * What is ±1 is not scaled. Arguments: x, y, floats between rows of y, rows, width, signs, whether these come first, accumulate,
 * factors, count of them, scratch, its bytes per thread (32 · the largest order).
 */
export function rotatePart(part: i32, parts: i32, thread: i32): void {
  const width = arg(4)
  const signs = <usize>arg(5)
  const isInput = arg(6) !== 0
  const copy = <usize>arg(10) + <usize>(thread * arg(11))
  const last = share(arg(3), part + 1, parts)
  for (let r = share(arg(3), part, parts); r < last; r++) {
    const x = <usize>arg(0) + ((<usize>(r * width)) << 2)
    const y = <usize>arg(1) + ((<usize>(r * arg(2))) << 2)
    if (isInput) multiplyRow(x, signs, y, width, false)
    const from = isInput ? y : x
    const to = from + (<usize>width << 2)
    let factor = <usize>arg(8)
    for (let f = 0; f < arg(9); f++, factor += 12) {
      const order = <usize>load<u32>(factor)
      const inner = <usize>load<u32>(factor, 4) << 2
      const matrix = <usize>load<u32>(factor, 8)
      if (matrix === 0) butterflies(from, to, order << 2)
      else if (order === 12 && (inner & 15) === 0) paley12(from, to, inner, copy)
      else dense(from, to, order, inner, matrix, copy)
    }
    if (!isInput) multiplyRow(x, signs, y, width, arg(7) !== 0)
  }
}

/** Sylvester's factor of neighbours in blocks of `block` bytes. */
function butterflies(from: usize, to: usize, block: usize): void {
  for (let at = from; at < to; at += 32) {
    // of an odd number of fours the last is taken twice
    const next = at + 16 < to ? at + 16 : at
    const v = v128.load(at)
    const w = v128.load(next)
    const even = v128.shuffle<i32>(v, w, 0, 2, 4, 6)
    const odd = v128.shuffle<i32>(v, w, 1, 3, 5, 7)
    const sum = f32x4.add(even, odd)
    const difference = f32x4.sub(even, odd)
    let a = v128.shuffle<i32>(sum, difference, 0, 4, 1, 5)
    let b = v128.shuffle<i32>(sum, difference, 2, 6, 3, 7)
    if (block > 8) {
      const low = v128.shuffle<i32>(a, b, 0, 1, 4, 5)
      const high = v128.shuffle<i32>(a, b, 2, 3, 6, 7)
      const sum2 = f32x4.add(low, high)
      const difference2 = f32x4.sub(low, high)
      a = v128.shuffle<i32>(sum2, difference2, 0, 1, 4, 5)
      b = v128.shuffle<i32>(sum2, difference2, 2, 3, 6, 7)
    }
    v128.store(at, a)
    v128.store(next, b)
  }
  let half: usize = 16
  for (; half << 2 <= block; half <<= 2) twoStages(from, to, half)
  if (half < block) oneStage(from, to, half)
}

/** The stage at a distance of `half` bytes. */
function oneStage(from: usize, to: usize, half: usize): void {
  for (let at = from; at < to; at += half) {
    for (const end = at + half; at < end; at += 16) {
      const a = v128.load(at)
      const b = v128.load(at + half)
      v128.store(at, f32x4.add(a, b))
      v128.store(at + half, f32x4.sub(a, b))
    }
  }
}

/** The stages at distances of `half` and twice as many bytes. */
function twoStages(from: usize, to: usize, half: usize): void {
  for (let at = from; at < to; at += 3 * half) {
    for (const end = at + half; at < end; at += 16) {
      const at2 = at + 2 * half
      const a = v128.load(at)
      const b = v128.load(at + half)
      const c = v128.load(at2)
      const d = v128.load(at2 + half)
      const ab = f32x4.add(a, b)
      const cd = f32x4.add(c, d)
      const a_b = f32x4.sub(a, b)
      const c_d = f32x4.sub(c, d)
      v128.store(at, f32x4.add(ab, cd))
      v128.store(at + half, f32x4.add(a_b, c_d))
      v128.store(at2, f32x4.sub(ab, cd))
      v128.store(at2 + half, f32x4.sub(a_b, c_d))
    }
  }
}

/**
 * Paley's factor of order 12. With s and d the sums and differences of its six pairs and C the conference matrix of order 6,
 * pairs become C s + d and C d − s.
 */
function paley12(from: usize, to: usize, inner: usize, copy: usize): void {
  for (; from < to; from += 11 * inner) {
    for (const end = from + inner; from < end; from += 16) {
      let x = from
      for (let at = copy; at < copy + 96; at += 16) {
        const a = v128.load(x)
        const b = v128.load(x + inner)
        v128.store(at, f32x4.add(a, b))
        v128.store(at, f32x4.sub(a, b), 96)
        x += inner << 1
      }
      conference(copy, copy + 96, f32x4.splat(1), from, inner << 1)
      conference(copy + 96, copy, f32x4.splat(-1), from + inner, inner << 1)
    }
  }
}

/** Stores C z + sign · t, `step` bytes apart. */
function conference(z: usize, t: usize, sign: v128, x: usize, step: usize): void {
  const first = v128.load(z)
  const a = v128.load(z, 16)
  const b = v128.load(z, 32)
  const c = v128.load(z, 48)
  const d = v128.load(z, 64)
  const e = v128.load(z, 80)
  const ab = f32x4.add(a, b)
  const bc = f32x4.add(b, c)
  const cd = f32x4.add(c, d)
  const de = f32x4.add(d, e)
  const ea = f32x4.add(e, a)
  const ac = f32x4.add(a, c)
  const bd = f32x4.add(b, d)
  const ce = f32x4.add(c, e)
  const da = f32x4.add(d, a)
  const eb = f32x4.add(e, b)
  storeSum(x, f32x4.add(ab, cd), e, v128.load(t), sign)
  storeSum(x + step, f32x4.sub(eb, cd), first, v128.load(t, 16), sign)
  x += step << 1
  storeSum(x, f32x4.sub(ac, de), first, v128.load(t, 32), sign)
  storeSum(x + step, f32x4.sub(bd, ea), first, v128.load(t, 48), sign)
  x += step << 1
  storeSum(x, f32x4.sub(ce, ab), first, v128.load(t, 64), sign)
  storeSum(x + step, f32x4.sub(da, bc), first, v128.load(t, 80), sign)
}

/** Stores a + b + sign · t. */
// @ts-expect-error: decorator
@inline
function storeSum(x: usize, a: v128, b: v128, t: v128, sign: v128): void {
  v128.store(x, f32x4.add(f32x4.add(a, b), f32x4.mul(t, sign)))
}

/** A dense factor `[order, order]`. */
function dense(from: usize, to: usize, order: usize, inner: usize, matrix: usize, copy: usize): void {
  const blockBytes = order * inner
  const isEven = (order & 1) === 0
  for (let block = from; block < to; block += blockBytes) {
    if (isEven && inner === 16 && block + blockBytes < to) {
      mixEight(block, blockBytes, order, inner, matrix, copy)
      block += blockBytes
      continue
    }
    let c: usize = 0
    if (isEven) for (; c + 32 <= inner; c += 32) mixEight(block + c, 16, order, inner, matrix, copy)
    for (; c + 16 <= inner; c += 16) mixFour(block + c, order, inner, matrix, copy)
    for (; c < inner; c += 4) mixOne(block + c, order, inner, matrix, copy)
  }
}

/** Four columns and those `apart` bytes from them, two results at a time, of an even order. */
function mixEight(x: usize, apart: usize, order: usize, inner: usize, m: usize, copy: usize): void {
  const end = copy + (order << 5)
  for (let at = copy, from = x; at < end; at += 32, from += inner) {
    v128.store(at, v128.load(from))
    v128.store(at, v128.load(from + apart), 16)
  }
  const next = order << 2
  for (const last = m + order * next; m < last; m += next) {
    let a0 = f32x4.splat(0)
    let a1 = a0
    let b0 = a0
    let b1 = a0
    for (let at = copy; at < end; at += 32, m += 4) {
      const u = v128.load(at)
      const v = v128.load(at, 16)
      const w = v128.load_splat<f32>(m)
      const w2 = v128.load_splat<f32>(m + next)
      a0 = f32x4.add(a0, f32x4.mul(w, u))
      a1 = f32x4.add(a1, f32x4.mul(w, v))
      b0 = f32x4.add(b0, f32x4.mul(w2, u))
      b1 = f32x4.add(b1, f32x4.mul(w2, v))
    }
    v128.store(x, a0)
    v128.store(x + apart, a1)
    x += inner
    v128.store(x, b0)
    v128.store(x + apart, b1)
    x += inner
  }
}

function mixFour(x: usize, order: usize, inner: usize, m: usize, copy: usize): void {
  for (let j: usize = 0; j < order; j++) v128.store(copy + (j << 4), v128.load(x + j * inner))
  for (let i: usize = 0; i < order; i++) {
    let sum = f32x4.splat(0)
    for (let j: usize = 0; j < order; j++) {
      sum = f32x4.add(sum, f32x4.mul(v128.load_splat<f32>(m), v128.load(copy + (j << 4))))
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
