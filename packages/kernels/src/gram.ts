import type { Matrix } from '@reallm/tensor-io'
import { gram as twin } from './reference/gram.ts'

/**
 * XᵀX `[n, n]` of X `[tokens, n]`, added to `into` when given: second moments of activations.
 * Storage is float32, exactly symmetric.
 *
 * @example
 * for (const x of batches) gram(x, h) // then divide by the number of tokens
 */
export function gram(x: Matrix, into?: Matrix): Matrix {
  return twin(x, into)
}
