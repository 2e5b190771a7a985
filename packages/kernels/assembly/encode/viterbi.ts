// Shortest paths through a bit-shift trellis. A state's predecessors are g, g + groups, g + 2·groups, … with
// g = state >> k, so the least cost of each g is an element-wise minimum of 2^k stretches of the cost vector, and the
// choice is a byte per g. Plain float32 arithmetic in the order of the twin: both choose the same path.
import { arg, share } from '../inference/job'

/** Bytes of scratch of one thread: costs, least costs, their choices for every step, a rotated copy. */
export function viterbiScratch(size: i32, bits: i32, length: i32): usize {
  const groups = <usize>(size >> bits)
  return (<usize>size << 2) + (groups << 2) + <usize>length * groups + (<usize>length << 3) + 64
}

/** Least cost over the predecessors of each group, and which it was. */
// @ts-expect-error: decorator
@inline
function reduce<K>(cost: usize, best: usize, from: usize, groups: i32, branches: i32): void {
  const stretch = <usize>groups << 2
  for (let g: usize = 0; g < stretch; g += 16) {
    let least = v128.load(cost + g)
    let choice = i32x4.splat(0)
    for (let j = 1; j < branches; j++) {
      const other = v128.load(cost + g + <usize>j * stretch)
      const less = f32x4.lt(other, least)
      least = f32x4.pmin(least, other)
      choice = v128.bitselect(i32x4.splat(j), choice, less)
    }
    v128.store(best + g, least)
    const narrow = i16x8.narrow_i32x4_u(choice, choice)
    v128.store_lane<i32>(from + (g >> 2), i8x16.narrow_i16x8_u(narrow, narrow), 0)
  }
}

/** Four states: cost = least + (square·weight + slope·value). */
// @ts-expect-error: decorator
@inline
function four(to: usize, least: v128, lut: usize, squares: usize, slope: v128, weight: v128, weighted: bool): void {
  let q = v128.load(squares)
  if (weighted) q = f32x4.mul(q, weight)
  v128.store(to, f32x4.add(least, f32x4.add(q, f32x4.mul(slope, v128.load(lut)))))
}

// @ts-expect-error: decorator
@inline
function extend(
  bits: i32, cost: usize, best: usize, lut: usize, squares: usize, groups: i32, slope: v128, weight: v128,
  weighted: bool,
): void {
  const end = best + (<usize>groups << 2)
  if (bits === 1) {
    for (; best < end; best += 16, cost += 32, lut += 32, squares += 32) {
      const m = v128.load(best)
      four(cost, v128.shuffle<i32>(m, m, 0, 0, 1, 1), lut, squares, slope, weight, weighted)
      four(cost + 16, v128.shuffle<i32>(m, m, 2, 2, 3, 3), lut + 16, squares + 16, slope, weight, weighted)
    }
  } else if (bits === 2) {
    for (; best < end; best += 4, cost += 16, lut += 16, squares += 16) {
      four(cost, v128.load_splat<f32>(best), lut, squares, slope, weight, weighted)
    }
  } else {
    const width: usize = bits === 3 ? 32 : 64
    for (; best < end; best += 4) {
      const m = v128.load_splat<f32>(best)
      for (let b: usize = 0; b < width; b += 16, cost += 16, lut += 16, squares += 16) {
        four(cost, m, lut, squares, slope, weight, weighted)
      }
    }
  }
}

function search(
  x: usize, w: usize, length: i32, bits: i32, lut: usize, squares: usize, size: i32, scratch: usize, path: usize,
  overlap: i32,
): void {
  const groups = size >> bits
  const cost = scratch
  const best = cost + (<usize>size << 2)
  const from = best + (<usize>groups << 2)
  for (let g = 0; g < groups; g++) {
    store<f32>(best + (<usize>g << 2), overlap < 0 || g === overlap ? 0 : Infinity)
  }
  const weighted = w !== 0
  for (let t = 0; t < length; t++) {
    if (t > 0) {
      const choice = from + <usize>t * <usize>groups
      if (bits === 1) reduce<i32>(cost, best, choice, groups, 2)
      else if (bits === 2) reduce<i32>(cost, best, choice, groups, 4)
      else if (bits === 3) reduce<i32>(cost, best, choice, groups, 8)
      else reduce<i32>(cost, best, choice, groups, 16)
    }
    const at = <usize>t << 2
    const weight = f32x4.splat(weighted ? load<f32>(w + at) : 1)
    const slope = f32x4.mul(f32x4.splat(-2 * load<f32>(x + at)), weight)
    if (weighted) {
      if (bits === 2) extend(2, cost, best, lut, squares, groups, slope, weight, true)
      else extend(bits, cost, best, lut, squares, groups, slope, weight, true)
    } else if (bits === 1) extend(1, cost, best, lut, squares, groups, slope, weight, false)
    else if (bits === 2) extend(2, cost, best, lut, squares, groups, slope, weight, false)
    else if (bits === 3) extend(3, cost, best, lut, squares, groups, slope, weight, false)
    else extend(4, cost, best, lut, squares, groups, slope, weight, false)
  }
  let state = 0
  let least: f32 = Infinity
  const step = overlap < 0 ? 1 : groups
  for (let s = overlap < 0 ? 0 : overlap; s < size; s += step) {
    const c = load<f32>(cost + (<usize>s << 2))
    if (c < least) {
      least = c
      state = s
    }
  }
  for (let t = length - 1; t >= 0; t--) {
    store<u16>(path + (<usize>t << 1), state)
    const g = state >> bits
    if (t > 0) state = g + <i32>load<u8>(from + <usize>t * <usize>groups + <usize>g) * groups
  }
}

function rotate(x: usize, length: i32, by: i32, to: usize): void {
  const head = <usize>by << 2
  const rest = <usize>(length - by) << 2
  memory.copy(to, x + head, rest)
  memory.copy(to + rest, x, head)
}

/**
 * Arguments: values, weights (0: none), sequences, length, bits, lut, squares of lut, states, tail-biting, paths
 * (uint16), scratch. Threads take whole sequences.
 */
export function viterbiPart(part: i32, parts: i32): void {
  const sequences = arg(2)
  const length = arg(3)
  const bits = arg(4)
  const lut = <usize>arg(5)
  const squares = <usize>arg(6)
  const size = arg(7)
  const tailBiting = arg(8) !== 0
  const scratch = <usize>arg(10) + <usize>part * ((viterbiScratch(size, bits, length) + 63) & ~63)
  const turned = scratch + (<usize>size << 2) + (<usize>(size >> bits) << 2) * 1 + <usize>length * <usize>(size >> bits)
  const turnedX = (turned + 15) & ~15
  const turnedW = turnedX + (<usize>length << 2)
  const half = length >> 1
  for (let i = share(sequences, part, parts); i < share(sequences, part + 1, parts); i++) {
    const skip = <usize>i * <usize>length
    const x = <usize>arg(0) + (skip << 2)
    const w = arg(1) === 0 ? 0 : <usize>arg(1) + (skip << 2)
    const path = <usize>arg(9) + (skip << 1)
    if (!tailBiting) {
      search(x, w, length, bits, lut, squares, size, scratch, path, -1)
      continue
    }
    rotate(x, length, half, turnedX)
    if (w !== 0) rotate(w, length, half, turnedW)
    search(turnedX, w === 0 ? 0 : turnedW, length, bits, lut, squares, size, scratch, path, -1)
    const overlap = <i32>load<u16>(path + (<usize>(length - half - 1) << 1)) & ((size >> bits) - 1)
    search(x, w, length, bits, lut, squares, size, scratch, path, overlap)
  }
}
