/**
 * Cholesky factorisation in place, float64: the lower triangle of `a` becomes L with A = L Lᵀ (the upper is untouched).
 *
 * @returns false when `a` is not positive definite
 */
export function choleskyInPlace(a: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]
      for (let l = 0; l < j; l++) sum -= a[i * n + l] * a[j * n + l]
      if (j < i) a[i * n + j] = sum / a[j * n + j]
      else if (sum > 0 && Number.isFinite(sum)) a[i * n + i] = Math.sqrt(sum)
      else return false
    }
  }
  return true
}

/** Inverse of the lower triangle of `l` in place, float64 (the upper is untouched). */
export function invertLowerInPlace(l: Float64Array, n: number): void {
  const row = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    row.fill(0, 0, i)
    for (let j = 0; j < i; j++) {
      const factor = l[i * n + j]
      for (let c = 0; c <= j; c++) row[c] -= factor * l[j * n + c]
    }
    const scale = 1 / l[i * n + i]
    for (let c = 0; c < i; c++) l[i * n + c] = row[c] * scale
    l[i * n + i] = scale
  }
}

/** `out = LᵀL` of the lower triangle of `l`, both triangles written, float64. */
export function lowerGram(l: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n)
  for (let k = 0; k < n; k++) {
    for (let i = 0; i <= k; i++) {
      const factor = l[k * n + i]
      for (let j = 0; j <= i; j++) out[i * n + j] += factor * l[k * n + j]
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out[j * n + i] = out[i * n + j]
  return out
}
