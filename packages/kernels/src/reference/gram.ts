import type { Matrix } from '@reallm/tensor-io'
import { gramTarget } from '../shapes.ts'
import { transpose } from './transpose.ts'

/** Reference implementation of `gram`: sums of one call in float64, then added to `into` in float32. */
export function gram(x: Matrix, into?: Matrix): Matrix {
  const out = gramTarget(x, into)
  const { rows: tokens, cols: n } = x
  const columns = transpose(x).data
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let t = 0; t < tokens; t++) sum += columns[i * tokens + t] * columns[j * tokens + t]
      out.data[i * n + j] += sum
      if (i !== j) out.data[j * n + i] += sum
    }
  }
  return out
}
