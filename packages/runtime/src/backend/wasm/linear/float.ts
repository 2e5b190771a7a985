import { type Engine, paddedRows } from '../engine.ts'
import type { Linear, LinearWriter } from './linear.ts'

/** Float weights, exact: for checks, and for small factors. `factor` multiplies the product. */
export function floatWriter(engine: Engine, rows: number, cols: number, factor = 1): LinearWriter {
  const { kernels, arena } = engine
  const weights = engine.allocateFloats(paddedRows(rows) * cols)
  let next = 0

  const linear: Linear = {
    rows,
    cols,
    bytes: 4 * paddedRows(rows) * cols,
    multiplyAdds: rows * cols,
    apply(x, y, ldy, tokens, accumulate) {
      kernels.matmulFloat(weights, x.at, x.width, y, ldy, rows, cols, tokens, accumulate ? 1 : 0, factor)
    },
    row: (index, out, scale) => kernels.floatRow(weights, index, out, cols, cols, factor * scale),
    dispose: () => arena.free(weights),
  }
  return {
    write(from, count) {
      kernels.packFloats(from, weights, count, cols, cols, next)
      next += count
    },
    finish: () => linear,
  }
}
