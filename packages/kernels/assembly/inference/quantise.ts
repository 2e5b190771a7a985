// Weights and activations to the integers that integer.ts multiplies, and weights back.
import { arg, share } from './job'
import { largest, nearest4 } from './simd'

// @ts-expect-error: decorator
@inline
function rounded(x: usize, inverse: v128): v128 {
  return nearest4(f32x4.mul(v128.load(x), inverse))
}

/**
 * Activations `[tokens, cols]` to 16 bits and a scale per token. Arguments: x, floats between tokens of x, out,
 * scales, tokens, cols (a multiple of 4), stride (values between tokens of out; what is beyond cols is zeroed).
 */
export function quantiseActivationsPart(part: i32, parts: i32): void {
  const tokens = arg(4)
  const cols = arg(5)
  const stride = arg(6)
  const last = share(tokens, part + 1, parts)
  for (let t = share(tokens, part, parts); t < last; t++) {
    const x = <usize>arg(0) + <usize>t * (<usize>arg(1) << 2)
    const out = <usize>arg(2) + <usize>t * (<usize>stride << 1)
    const top = largest(x, cols)
    store<f32>(<usize>arg(3) + (<usize>t << 2), top / 32767)
    const inverse = f32x4.splat(top > 0 ? <f32>32767 / top : 0)
    for (let i = 0; i < cols; i += 4) {
      const q = rounded(x + (<usize>i << 2), inverse)
      v128.store64_lane(out + (<usize>i << 1), i16x8.narrow_i32x4_s(q, q), 0)
    }
    for (let i = cols; i < stride; i++) store<i16>(out + (<usize>i << 1), 0)
  }
}

/** Index of weight (r, c) in blocks of 4 rows × 16 columns. */
// @ts-expect-error: decorator
@inline
export function indexOf(r: i32, c: i32, stride: i32): usize {
  return <usize>(r & ~3) * stride + (<usize>(c & ~15) << 2) + (<usize>(r & 3) << 4) + (c & 15)
}

/**
 * Weights to integers and a scale per row and group. Arguments: x `[rows, cols]` f32, out, scales, rows, cols,
 * stride (columns of out; what is beyond cols is zero already), group, first row, bytes. `out` and `scales` belong
 * to row 0.
 */
export function quantiseWeightsPart(part: i32, parts: i32): void {
  if (arg(8) === 2) quantise<i16>(part, parts, 4095)
  else quantise<i8>(part, parts, 127)
}

function quantise<T>(part: i32, parts: i32, levels: f32): void {
  const rows = arg(3)
  const cols = arg(4)
  const stride = arg(5)
  const group = arg(6)
  const groups = (stride + group - 1) / group
  const last = share(rows, part + 1, parts)
  for (let r = share(rows, part, parts); r < last; r++) {
    const x = <usize>arg(0) + (<usize>r * cols << 2)
    const row = arg(7) + r
    let scale = <usize>arg(2) + (<usize>row * groups << 2)
    for (let from = 0; from < cols; from += group) {
      const to = min(from + group, cols)
      let top: f32 = 0
      for (let i = from; i < to; i++) top = max(top, abs(load<f32>(x + (<usize>i << 2))))
      store<f32>(scale, top / levels)
      scale += 4
      const inverse = top > 0 ? levels / top : 0
      for (let i = from; i < to; i++) {
        const code = <T>nearest(load<f32>(x + (<usize>i << 2)) * inverse)
        store<T>(<usize>arg(1) + indexOf(row, i, stride) * sizeof<T>(), code)
      }
    }
  }
}

/** Puts signed bytes `[rows, cols]`, codes that are exact already, into rows `firstRow …` of blocked weights. */
export function packBytes(x: usize, w: usize, rows: i32, cols: i32, stride: i32, firstRow: i32): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) store<i8>(w + indexOf(firstRow + r, c, stride), load<i8>(x + c))
    x += cols
  }
}

/** Row `row` back to floats, times `factor`: how an embedding is looked up. */
export function integerRow(
  w: usize, scales: usize, row: i32, out: usize, cols: i32, stride: i32, group: i32, factor: f32, bytes: i32,
): void {
  scales += <usize>row * ((stride + group - 1) / group) << 2
  for (let i = 0; i < cols; i++) {
    const at = indexOf(row, i, stride)
    const code = bytes === 2 ? <i32>load<i16>(w + 2 * at) : <i32>load<i8>(w + at)
    store<f32>(out + (<usize>i << 2), <f32>code * load<f32>(scales + (<usize>(i / group) << 2)) * factor)
  }
}
