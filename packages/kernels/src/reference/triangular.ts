/**
 * Reference implementation of the wasm kernel: solves T X = B in place of B `[n, m]`, float64. `byRow` and `byCol` are the steps between rows
 * and columns of T (swapped: Tᵀ); `forward` when what is solved is lower triangular. False when a diagonal entry is 0.
 */
export function solveInPlace(
  t: Float64Array,
  byRow: number,
  byCol: number,
  x: Float64Array,
  n: number,
  m: number,
  forward: boolean,
): boolean {
  for (let step = 0; step < n; step++) {
    const i = forward ? step : n - 1 - step
    for (let past = 0; past < step; past++) {
      const j = forward ? past : n - 1 - past
      const factor = t[i * byRow + j * byCol]
      if (factor !== 0) for (let c = 0; c < m; c++) x[i * m + c] -= factor * x[j * m + c]
    }
    const pivot = t[i * (byRow + byCol)]
    if (pivot === 0) return false
    for (let c = 0; c < m; c++) x[i * m + c] /= pivot
  }
  return true
}
