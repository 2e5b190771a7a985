import type { Matrix } from '@reallm/tensor-io'
import { gram as twin } from './reference/gram.ts'

/**
 * `XᵀX`, added to `into` when given: x `[n, k]` → `[k, k]`.
 *
 * @throws ReallmError `bad-tensor` when `into` has another size
 */
export function gram(x: Matrix, into?: Matrix): Matrix {
  return twin(x, into)
}
