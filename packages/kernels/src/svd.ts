import type { Matrix } from '@reallm/tensor-io'
import { eighFloat64 } from './eigh.ts'
import { orthonormalise } from './qr.ts'
import { transpose } from './reference/transpose.ts'

/** Singular values, and the vectors of both sides. */
export interface Svd {
  /** `[m, r]`, orthonormal columns, r = min(m, n). */
  readonly u: Matrix
  /** Singular values, largest first. */
  readonly s: Float32Array
  /** `[n, r]`, orthonormal columns: A = U diag(s) Vᵀ. */
  readonly v: Matrix
}

/**
 * Thin singular value decomposition of a dense matrix whose smaller side is at most a few hundred
 * (eigenvectors of its Gram matrix in float64, then QR: values under 1e-8 of the largest are noise).
 * For a few leading values of a large matrix use a randomised one.
 */
export function svd(a: Matrix): Svd {
  if (a.rows < a.cols) {
    const { u, s, v } = svd(transpose(a))
    return { u: v, s, v: u }
  }
  const { rows: m, cols: n, data } = a
  const gram = new Float64Array(n * n)
  for (let t = 0; t < m; t++) {
    for (let i = 0; i < n; i++) {
      const factor = data[t * n + i]
      for (let j = 0; j < n; j++) gram[i * n + j] += factor * data[t * n + j]
    }
  }
  const { rows: vt } = eighFloat64(gram, n)
  const images = new Float64Array(n * m)
  for (let j = 0; j < n; j++) {
    for (let t = 0; t < m; t++) {
      let sum = 0
      for (let i = 0; i < n; i++) sum += data[t * n + i] * vt[j * n + i]
      images[j * m + t] = sum
    }
  }
  const { diagonal, basis } = orthonormalise(images, m, n)
  for (let j = 0; j < n; j++) {
    if (diagonal[j] < 0) for (let t = 0; t < m; t++) basis[j * m + t] = -basis[j * m + t]
  }
  return {
    u: transpose({ rows: n, cols: m, data: Float32Array.from(basis) }),
    s: Float32Array.from(diagonal, Math.abs),
    v: transpose({ rows: n, cols: n, data: Float32Array.from(vt) }),
  }
}
