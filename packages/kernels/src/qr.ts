import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { transpose } from './reference/transpose.ts'
import { shapeText } from './shapes.ts'

/** An orthonormal `Q` and an upper triangular `R`. */
export interface Qr {
  /** `[m, n]`, orthonormal columns even when A is rank-deficient. */
  readonly q: Matrix
  /** `[n, n]`, upper triangular. */
  readonly r: Matrix
}

/**
 * Thin QR factorisation A = Q R of `[m, n]`, m ≥ n, by Householder reflections in float64.
 *
 * @example
 * const { q } = qr(matrix([3, 0, 4, 5], [2, 2]))
 */
export function qr(a: Matrix): Qr {
  const { rows: m, cols: n } = a
  if (m < n) throw new ReallmError('bad-tensor', `thin QR needs rows ≥ columns, got ${shapeText(a)}`)
  const columns = Float64Array.from(transpose(a).data)
  const { diagonal, basis } = orthonormalise(columns, m, n)
  const r = zeroMatrix(n, n)
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < j; i++) r.data[i * n + j] = columns[j * m + i]
    r.data[j * n + j] = diagonal[j]
  }
  return { q: transpose({ rows: n, cols: m, data: Float32Array.from(basis) }), r }
}

/**
 * Householder QR of n columns of length m, stored one after the other, in float64.
 *
 * @returns the diagonal of R and the n columns of Q; R's strict upper triangle is left in `columns`
 */
export function orthonormalise(columns: Float64Array, m: number, n: number) {
  const taus = new Float64Array(n)
  const diagonal = new Float64Array(n)
  for (let k = 0; k < n; k++) {
    const v = columns.subarray(k * m, (k + 1) * m)
    let norm = 0
    for (let i = k; i < m; i++) norm += v[i] * v[i]
    norm = Math.sqrt(norm)
    if (norm === 0) continue
    const head = v[k] > 0 ? -norm : norm
    const scale = 1 / (v[k] - head)
    taus[k] = (head - v[k]) / head
    diagonal[k] = head
    v[k] = 1
    for (let i = k + 1; i < m; i++) v[i] *= scale
    for (let j = k + 1; j < n; j++) reflect(columns.subarray(j * m, (j + 1) * m), v, taus[k], k)
  }
  const basis = new Float64Array(n * m)
  for (let j = 0; j < n; j++) {
    const q = basis.subarray(j * m, (j + 1) * m)
    q[j] = 1
    for (let k = Math.min(j, n - 1); k >= 0; k--) reflect(q, columns.subarray(k * m, (k + 1) * m), taus[k], k)
  }
  return { diagonal, basis }
}

/** x ← x − τ v (vᵀ x), from index `k` on. */
function reflect(x: Float64Array, v: Float64Array, tau: number, k: number): void {
  if (tau === 0) return
  let dot = 0
  for (let i = k; i < x.length; i++) dot += v[i] * x[i]
  dot *= tau
  for (let i = k; i < x.length; i++) x[i] -= dot * v[i]
}
