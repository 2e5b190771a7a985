import type { Pointer } from '@reallm/kernels/inference'
import { type Activations, type Engine, int8Stride, paddedRows } from '../engine.ts'
import type { Linear, LinearWriter } from './linear.ts'

/** Columns that share a scale in weights as they come; their outliers stay local. */
export const PLAIN_GROUP = 64
/** For rotated weights, which have no outliers. More would overflow the kernel's sums. */
export const LARGEST_GROUP = 2048

/** One byte per weight, a float scale per row and group of columns; activations of 16 bits. */
export function int8Writer(engine: Engine, rows: number, cols: number, group = PLAIN_GROUP): LinearWriter {
  const { kernels, arena } = engine
  const stride = int8Stride(cols)
  const size = Math.min(group, stride)
  const groups = Math.ceil(stride / size)
  const codes = arena.allocate(paddedRows(rows) * stride)
  const scales = engine.allocateFloats(paddedRows(rows) * groups)
  let next = 0

  const linear: Linear = {
    rows,
    cols,
    bytes: paddedRows(rows) * (stride + 4 * groups),
    apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean) {
      const q = x.quantised(tokens)
      kernels.matmulInt8(codes, scales, q.values, q.scales, y, rows, stride, size, tokens, ldy, accumulate ? 1 : 0)
    },
    row: (index, out, factor) => kernels.int8Row(codes, scales, index, out, cols, stride, size, factor),
    free() {
      arena.free(codes)
      arena.free(scales)
    },
  }
  return {
    write(from, count) {
      kernels.quantiseWeights(from, codes, scales, count, cols, stride, size, next)
      next += count
    },
    finish: () => linear,
  }
}
