import type { Pointer } from '@reallm/kernels/inference'
import type { Engine } from '../engine.ts'
import { deliver, type Linear } from './linear.ts'

/** A matrix with a factor for each row, as DoRA's magnitudes are; `factors` is an address of `rows` floats. */
export function scaledLinear(engine: Engine, inner: Linear, factors: Pointer): Linear {
  const { kernels, arena } = engine
  const { rows, cols } = inner
  return {
    rows,
    cols,
    bytes: inner.bytes + 4 * rows,
    multiplyAdds: inner.multiplyAdds + rows,
    apply(x, y, ldy, tokens, accumulate) {
      const out = engine.scratch('scaled', rows).at
      inner.apply(x, out, rows, tokens, false)
      kernels.multiplyRows(out, factors, out, tokens, rows)
      deliver(engine, out, rows, y, ldy, tokens, accumulate)
    },
    row: (index, out, factor) => inner.row(index, out, factor * arena.floats(factors, rows)[index]),
    free() {
      inner.free()
      arena.free(factors)
    },
  }
}
