import type { Matrix } from '@reallm/tensor-io'
import { matmul as twin } from './reference/matmul.ts'
import type { MatmulOptions } from './shapes.ts'

/**
 * `A B`, either operand transposed on request: a `[m, k]`, b `[k, n]` → `[m, n]`.
 *
 * @throws ReallmError `bad-tensor` when the sizes do not fit
 * @example
 * matmul(x, w, { transposeB: true }) // y = x Wᵀ
 */
export function matmul(a: Matrix, b: Matrix, options: MatmulOptions = {}): Matrix {
  return twin(a, b, options)
}
