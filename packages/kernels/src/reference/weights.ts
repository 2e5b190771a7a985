import type { InferenceKernels } from '../inference/kernels.ts'
import { floatAt, integerAt, padded } from './block-places.ts'
import { blockedTrellis } from './trellis-stream.ts'
import { viewsOf } from './views.ts'

/** Activations and weights brought into the forms that products read, and rows of these read back. */
export function referenceWeights(
  memory: WebAssembly.Memory,
): Pick<
  InferenceKernels,
  | 'quantiseActivations'
  | 'quantiseWeights'
  | 'packFloats'
  | 'packBytes'
  | 'integerRow'
  | 'floatRow'
  | 'expandTrellis'
> {
  const { f32, i16, integers } = viewsOf(memory)

  return {
    quantiseActivations(x, ldx, out, scales, tokens, cols, stride) {
      const values = f32(x, (tokens - 1) * ldx + cols)
      const q = i16(out, tokens * stride)
      const s = f32(scales, tokens)
      q.fill(0)
      for (let t = 0; t < tokens; t++) {
        const row = values.subarray(t * ldx, t * ldx + cols)
        const top = largest(row)
        s[t] = top / 32767
        const inverse = Math.fround(top > 0 ? 32767 / top : 0)
        for (let c = 0; c < cols; c++) q[t * stride + c] = nearest(Math.fround(row[c] * inverse))
      }
    },

    quantiseWeights(x, out, scales, rows, cols, stride, group, firstRow, bytes) {
      const levels = bytes === 2 ? 4095 : 127
      const groups = Math.ceil(stride / group)
      const values = f32(x, rows * cols)
      const q = integers(out, padded(firstRow + rows) * stride, bytes)
      const s = f32(scales, (firstRow + rows) * groups)
      for (let r = 0; r < rows; r++) {
        for (let from = 0; from < cols; from += group) {
          const to = Math.min(cols, from + group)
          const top = largest(values.subarray(r * cols + from, r * cols + to))
          s[(firstRow + r) * groups + from / group] = top / levels
          const inverse = Math.fround(top > 0 ? levels / top : 0)
          for (let c = from; c < to; c++) {
            q[integerAt(firstRow + r, c, stride)] = nearest(Math.fround(values[r * cols + c] * inverse))
          }
        }
      }
    },

    packFloats(x, w, rows, cols, stride, firstRow) {
      const values = f32(x, rows * cols)
      const weights = f32(w, padded(firstRow + rows) * stride)
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) weights[floatAt(firstRow + r, c, stride)] = values[r * cols + c]
      }
    },

    packBytes(x, w, rows, cols, stride, firstRow) {
      const from = integers(x, rows * cols, 1)
      const to = integers(w, padded(firstRow + rows) * stride, 1)
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) to[integerAt(firstRow + r, c, stride)] = from[r * cols + c]
      }
    },

    integerRow(w, scales, row, out, cols, stride, group, factor, bytes) {
      const groups = Math.ceil(stride / group)
      const weights = integers(w, padded(row + 1) * stride, bytes)
      const s = f32(scales, (row + 1) * groups)
      const y = f32(out, cols)
      for (let c = 0; c < cols; c++) {
        y[c] = weights[integerAt(row, c, stride)] * s[row * groups + Math.floor(c / group)] * factor
      }
    },

    floatRow(w, row, out, cols, stride, factor) {
      const weights = f32(w, padded(row + 1) * stride)
      const y = f32(out, cols)
      for (let c = 0; c < cols; c++) y[c] = weights[floatAt(row, c, stride)] * factor
    },

    expandTrellis(codes, rows, cols, rowBytes, rates, tables, stateBits, w) {
      const weights = blockedTrellis(memory, { codes, rows, cols, rowBytes, rates, tables, stateBits })
      integers(w, weights.length, 1).set(weights)
    },
  }
}

/** The largest absolute value. */
function largest(values: Float32Array): number {
  let top = 0
  for (const value of values) top = Math.max(top, Math.abs(value))
  return top
}

/** Rounds half to even, as SIMD does. */
function nearest(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return Math.round(x)
  return floor % 2 === 0 ? floor : floor + 1
}
