import type { Matrix } from '@reallm/tensor-io'
import { engine, floats, reserve } from './engine.ts'
import { matmul } from './matmul.ts'
import { gram as reference } from './reference/gram.ts'
import { gramTarget } from './shapes.ts'

/** Widths above this do not fit the kernels' memory at once. */
const WIDEST = 8192
/** Rows of X that are copied to the kernels' memory at a time. */
const ROWS = 4096

/**
 * XᵀX `[n, n]` of X `[tokens, n]`, added to `into` when given; divided by the number of tokens it is the Hessian of a layer's
 * inputs. Storage is float32, exactly symmetric.
 *
 * @example
 * for (const x of batches) gram(x, h) // then divide by the number of tokens
 */
export function gram(x: Matrix, into?: Matrix): Matrix {
  const e = engine()
  if (!e) return reference(x, into)
  const out = gramTarget(x, into)
  const { rows, cols: n } = x
  if (n > WIDEST) return matmul(x, x, { transposeA: true, out, accumulate: true })
  for (let from = 0; from < rows; from += ROWS) {
    const count = Math.min(ROWS, rows - from)
    const [px, pc, ps] = reserve(e, 4 * count * n, 4 * n * n, e.threads * e.kernels.gemmScratch(n))
    floats(e, px, count * n).set(x.data.subarray(from * n, (from + count) * n))
    floats(e, pc, n * n).set(out.data)
    e.kernels.gemm(px, px, pc, n, n, count, n, n, 1, 0, 1, ps, 1)
    e.kernels.mirror(pc, n)
    out.data.set(floats(e, pc, n * n))
  }
  return out
}
