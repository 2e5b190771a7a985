// One factor of a Kronecker transform on each of `rows` rows of `width` floats, seen as `[outer, order, inner]`.
import { arg, share } from './job'

/** Sylvester's factor, in place, scaled to be orthogonal. Arguments: x, rows, width, order, inner. */
export function butterfliesPart(part: i32, parts: i32): void {
  const width = <usize>arg(2) << 2
  const first = <usize>arg(4) << 2
  const block = <usize>arg(3) * first
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>arg(3)))
  const end = <usize>arg(0) + <usize>share(arg(1), part + 1, parts) * width
  // all stages of a row, which stays in the fastest cache, then the next
  for (let from = <usize>arg(0) + <usize>share(arg(1), part, parts) * width; from < end; from += width) {
    const to = from + width
    let half = first
    for (; half < block && (half & 15) !== 0; half <<= 1) {
      if (half === 4) neighbours(from, to)
      else if (half === 8) pairs(from, to)
      else singles(from, to, half)
    }
    for (; half < block; half <<= 1) oneStage(from, to, half)
    for (let at = from; at < to; at += 16) v128.store(at, f32x4.mul(v128.load(at), scale))
  }
}

/** The stage at a distance of `half` bytes, no multiple of 16. */
function singles(from: usize, to: usize, half: usize): void {
  for (let at = from; at < to; at += half) {
    for (const end = at + half; at < end; at += 4) {
      const a = load<f32>(at)
      const b = load<f32>(at + half)
      store<f32>(at, a + b)
      store<f32>(at + half, a - b)
    }
  }
}

/** The stage at a distance of `half` bytes, a multiple of 16. */
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

/** A dense factor `[order, order]`, in place. Arguments: x, rows, width, order, inner, matrix, 32·order bytes per thread. */
export function densePart(part: i32, parts: i32): void {
  const width = <usize>arg(2) << 2
  const order = <usize>arg(3)
  const inner = <usize>arg(4) << 2
  const matrix = <usize>arg(5)
  const copy = <usize>arg(6) + <usize>part * (order << 5)
  const to = <usize>arg(0) + <usize>share(arg(1), part + 1, parts) * width
  const blockBytes = order * inner
  const isEven = (order & 1) === 0
  for (let block = <usize>arg(0) + <usize>share(arg(1), part, parts) * width; block < to; block += blockBytes) {
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
