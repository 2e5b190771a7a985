import type { Codebooks } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'

/** Sums of the chosen codewords, `[n, dim]`. */
export function sumsOf(codes: Uint16Array, { vectors, count, size }: Codebooks): Matrix {
  const { cols: dim, data } = vectors
  const rows = codes.length / count
  const out = new Float32Array(rows * dim)
  for (let i = 0; i < rows; i++) {
    for (let m = 0; m < count; m++) {
      const c = (m * size + codes[i * count + m]) * dim
      for (let j = 0; j < dim; j++) out[i * dim + j] += data[c + j]
    }
  }
  return { rows, cols: dim, data: out }
}
