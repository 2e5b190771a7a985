// Products of one token straight from codes, without a panel: every decoded weight is used at once.
import { arg } from './job'
import { madd, sum4 } from './simd'

/** Row `row` of codes by one token; arguments as of `matmulCodesPart`. */
export function codesRow(row: i32): void {
  const codes = <usize>arg(9) + <usize>row * arg(10)
  const bits = <u32>arg(11)
  const dim = arg(12)
  const table = <usize>arg(13)
  const group = arg(16)
  const groups = arg(6) / group
  const mask: u32 = (1 << bits) - 1
  let scale = <usize>arg(14) + (<usize>(row * groups) << 2)
  let shift = <usize>arg(15) + (arg(15) === 0 ? 0 : <usize>(row * groups) << 2)
  let x = <usize>arg(0)
  let bit: u32 = 0
  let total: f32 = 0
  for (let g = 0; g < groups; g++, scale += 4) {
    let sum: f32 = 0
    let plain: f32 = 0
    const end = x + (<usize>group << 2)
    if ((dim & 3) === 0) {
      let sum4s = f32x4.splat(0)
      for (; x < end; bit += bits) {
        const vector = table + (<usize>((load<u32>(codes + (bit >> 3)) >> (bit & 7)) & mask) * dim << 2)
        for (let i: usize = 0; i < <usize>dim; i += 4, x += 16) {
          sum4s = madd(v128.load(vector + (i << 2)), v128.load(x), sum4s)
        }
      }
      sum = sum4(sum4s)
    } else {
      for (; x < end; bit += bits) {
        let vector = table + (<usize>((load<u32>(codes + (bit >> 3)) >> (bit & 7)) & mask) * dim << 2)
        for (let i = 0; i < dim; i++, x += 4, vector += 4) {
          const value = load<f32>(x)
          sum += load<f32>(vector) * value
          plain += value
        }
      }
    }
    if (arg(15) !== 0) {
      sum -= load<f32>(shift) * plain
      shift += 4
    }
    total += load<f32>(scale) * sum
  }
  const y = <usize>arg(2) + (<usize>row << 2)
  store<f32>(y, arg(7) !== 0 ? load<f32>(y) + total : total)
}
