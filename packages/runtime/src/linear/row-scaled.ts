import type { Engine } from '../engine.ts'
import { deliver, type Linear } from './linear.ts'

/** `diag(scales) W`: fine-tuned factors on the rows of a stored matrix. */
export function rowScaledLinear(engine: Engine, inner: Linear, scales: Float32Array): Linear {
  const { kernels, arena } = engine
  const { rows } = inner
  const factors = engine.upload(scales)

  return {
    ...inner,
    bytes: inner.bytes + 4 * rows,
    apply(x, y, ldy, tokens, accumulate) {
      const out = engine.scratch('scaled output', rows).at
      inner.apply(x, out, rows, tokens, false)
      kernels.multiplyRows(out, factors, out, tokens, rows)
      deliver(engine, out, rows, y, ldy, tokens, accumulate)
    },
    row: (index, out, factor) => inner.row(index, out, factor * scales[index]),
    free() {
      inner.free()
      arena.free(factors)
    },
  }
}
