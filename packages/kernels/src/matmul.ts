import type { Matrix } from '@reallm/tensor-io'
import { matmul as twin } from './reference/matmul.ts'
import type { MatmulOptions } from './shapes.ts'

/**
 * Matrix product in float32: `[m, k] × [k, n]`, either side transposed.
 *
 * @throws ReallmError `bad-tensor` when the shapes do not fit
 * @example
 * const y = matmul(x, w, { transposeB: true }) // x [tokens, in], w [out, in]: y = x Wᵀ
 */
export function matmul(a: Matrix, b: Matrix, options: MatmulOptions = {}): Matrix {
  return twin(a, b, options)
}
