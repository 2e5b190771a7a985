import type { Matrix } from '@reallm/tensor-io'
import { copyIn, copyOut } from './copy-block.ts'
import { engine, reserve } from './engine.ts'
import { matmul as reference } from './reference/matmul.ts'
import { type MatmulOptions, matmulShape } from './shapes.ts'

/** Sides of the blocks that are copied to the kernels' memory: at most 3 × 16 MiB at a time. */
const BLOCK = 2048
/** MACs below which copying costs more than it saves. */
const SMALL = 512

/**
 * Matrix product in float32: `[m, k] × [k, n]`, either side transposed.
 *
 * @throws ReallmError `bad-tensor` when the shapes do not fit
 * @example
 * const y = matmul(x, w, { transposeB: true }) // x [tokens, in], w [out, in]: y = x Wᵀ
 */
export function matmul(a: Matrix, b: Matrix, options: MatmulOptions = {}): Matrix {
  const { m, n, k, out } = matmulShape(a, b, options)
  const e = m * n * k < SMALL ? undefined : engine()
  if (!e) return reference(a, b, { ...options, out })
  const { transposeA = false, transposeB = false, accumulate = false } = options
  for (let i = 0; i < m; i += BLOCK) {
    const rows = Math.min(BLOCK, m - i)
    for (let j = 0; j < n; j += BLOCK) {
      const cols = Math.min(BLOCK, n - j)
      for (let l = 0; l < k; l += BLOCK) {
        const depth = Math.min(BLOCK, k - l)
        const add = accumulate || l > 0
        const scratch = e.threads * e.kernels.gemmScratch(cols)
        const [pa, pb, pc, ps] = reserve(e, 4 * rows * depth, 4 * depth * cols, 4 * rows * cols, scratch)
        if (transposeA) copyIn(e, pa, a, l, i, depth, rows)
        else copyIn(e, pa, a, i, l, rows, depth)
        if (transposeB) copyIn(e, pb, b, j, l, cols, depth)
        else copyIn(e, pb, b, l, j, depth, cols)
        if (add) copyIn(e, pc, out, i, j, rows, cols)
        const [lda, ldb] = [transposeA ? rows : depth, transposeB ? depth : cols]
        e.kernels.gemm(pa, pb, pc, rows, cols, depth, lda, ldb, +transposeA, +transposeB, +add, ps, 0)
        copyOut(e, pc, out, i, j, rows, cols)
      }
    }
  }
  return out
}
