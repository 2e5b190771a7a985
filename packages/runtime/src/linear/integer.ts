import type { Pointer } from '@reallm/kernels/inference'
import { type Activations, type Engine, integerStride, paddedRows } from '../engine.ts'
import type { Linear, LinearWriter } from './linear.ts'

/** Columns that share a scale. More would overflow the kernel's sums of two-byte weights. */
const GROUP = 64

/**
 * Integer weights, a float scale per row and 64 columns, activations of 16 bits: two `bytes` hold ±4095, which keeps
 * logits within 1 %; one byte holds ±127 and takes half the memory.
 */
export function integerWriter(engine: Engine, rows: number, cols: number, bytes: 1 | 2): LinearWriter {
  const { kernels, arena } = engine
  const stride = integerStride(cols)
  const group = Math.min(GROUP, stride)
  const groups = Math.ceil(stride / group)
  const codes = arena.allocate(bytes * paddedRows(rows) * stride)
  const scales = engine.allocateFloats(paddedRows(rows) * groups)
  let next = 0

  const linear: Linear = {
    rows,
    cols,
    bytes: paddedRows(rows) * (bytes * stride + 4 * groups),
    apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean) {
      const { values, scales: xScales } = x.quantised(tokens)
      const add = accumulate ? 1 : 0
      kernels.matmulInteger(codes, scales, values, xScales, y, rows, stride, group, tokens, ldy, add, bytes)
    },
    row: (index, out, factor) =>
      kernels.integerRow(codes, scales, index, out, cols, stride, group, factor, bytes),
    free() {
      arena.free(codes)
      arena.free(scales)
    },
  }
  return {
    write(from, count) {
      kernels.quantiseWeights(from, codes, scales, count, cols, stride, group, next, bytes)
      next += count
    },
    finish: () => linear,
  }
}
