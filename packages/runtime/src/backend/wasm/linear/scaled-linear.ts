import type { Pointer } from '@reallm/kernels/inference'
import type { Engine } from '../engine.ts'
import type { Linear } from './linear.ts'

/** Factors on the sides of a matrix, ready in the engine's memory. */
export interface Factors {
  /** Address of a float for each row, as DoRA's magnitudes are. */
  readonly rows?: Pointer | undefined
  /** Address of a float for each column. */
  readonly cols?: Pointer | undefined
}

/** `diag(rows) W diag(cols)`: the activations are multiplied on either side of W. */
export function scaledLinear(engine: Engine, inner: Linear, factors: Factors): Linear {
  const { kernels, arena } = engine
  const { rows, cols } = inner
  const count = (factors.rows === undefined ? 0 : rows) + (factors.cols === undefined ? 0 : cols)
  const scaled = factors.cols === undefined ? undefined : engine.scratch('scaled input', cols)
  const unscaled = factors.rows === undefined ? undefined : engine.scratch('scaled output', rows)
  return {
    rows,
    cols,
    bytes: inner.bytes + 4 * count,
    multiplyAdds: inner.multiplyAdds + count,
    apply(x, y, ldy, tokens, accumulate) {
      let input = x
      if (scaled && factors.cols !== undefined) {
        input = scaled.changed()
        kernels.multiplyRows(x.at, factors.cols, input.at, cols, tokens, cols, 0)
      }
      if (!unscaled || factors.rows === undefined) return inner.apply(input, y, ldy, tokens, accumulate)
      const out = unscaled.at
      inner.apply(input, out, rows, tokens, false)
      kernels.multiplyRows(out, factors.rows, y, ldy, tokens, rows, accumulate ? 1 : 0)
    },
    row(index, out, factor) {
      const own = factors.rows === undefined ? 1 : arena.floats(factors.rows, rows)[index]
      inner.row(index, out, factor * own)
      if (factors.cols !== undefined) kernels.multiplyRows(out, factors.cols, out, cols, 1, cols, 0)
    },
    dispose() {
      inner.dispose()
      for (const side of [factors.rows, factors.cols]) if (side !== undefined) arena.free(side)
    },
  }
}
