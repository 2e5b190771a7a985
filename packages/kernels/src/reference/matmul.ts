import type { Matrix } from '@reallm/tensor-io'
import { type MatmulOptions, matmulShape } from '../shapes.ts'
import { transpose } from './transpose.ts'

/** Reference implementation of `matmul`: sums in float64. */
export function matmul(a: Matrix, b: Matrix, options: MatmulOptions = {}): Matrix {
  const { m, n, k, out } = matmulShape(a, b, options)
  const left = options.transposeA ? transpose(a).data : a.data
  const right = options.transposeB ? transpose(b).data : b.data
  const sums = new Float64Array(n)
  for (let i = 0; i < m; i++) {
    const row = out.data.subarray(i * n, (i + 1) * n)
    if (options.accumulate) sums.set(row)
    else sums.fill(0)
    for (let l = 0; l < k; l++) {
      const factor = left[i * k + l]
      const from = l * n
      for (let j = 0; j < n; j++) sums[j] += factor * right[from + j]
    }
    row.set(sums)
  }
  return out
}
