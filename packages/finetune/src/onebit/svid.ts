import type { Matrix } from '@reallm/tensor-io'

/** `W ≈ sign(W) ⊙ (a bᵀ)`: a `[out]`, b `[in]`, both ≥ 0. */
export interface SignValue {
  readonly a: Float32Array
  readonly b: Float32Array
}

/**
 * Sign-value-independent decomposition (OneBit §3.2, arXiv 2402.11295): the best rank-1 factor of |W|, by power
 * iteration. |W| has no negative entry, so neither have its leading singular vectors.
 */
export function svid({ rows, cols, data }: Matrix, iterations = 30): SignValue {
  const a = new Float32Array(rows)
  let b = new Float32Array(cols).fill(1)
  for (let n = 0; n < iterations; n++) {
    const next = new Float32Array(cols)
    const size = b.reduce((sum, v) => sum + v * v, 0)
    for (let r = 0; r < rows; r++) {
      let sum = 0
      for (let c = 0; c < cols; c++) sum += Math.abs(data[r * cols + c]) * b[c]
      a[r] = size > 0 ? sum / size : 0
      for (let c = 0; c < cols; c++) next[c] += Math.abs(data[r * cols + c]) * a[r]
    }
    const weight = a.reduce((sum, v) => sum + v * v, 0)
    b = next.map(v => (weight > 0 ? v / weight : 0))
  }
  return { a, b }
}
