/**
 * Householder reduction of symmetric `a` (destroyed) to tridiagonal form, float64.
 *
 * @returns diagonal, off-diagonal (`off[i]` between i and i + 1) and Qᵀ with A = Q T Qᵀ
 */
export function tridiagonalise(a: Float64Array, n: number) {
  const taus = new Float64Array(n)
  const off = new Float64Array(n)
  const p = new Float64Array(n)
  for (let k = 0; k < n - 2; k++) {
    // Row k right of the diagonal becomes the reflector v (symmetric: it is also the column).
    const v = a.subarray(k * n, (k + 1) * n)
    let norm = 0
    for (let j = k + 2; j < n; j++) norm += v[j] * v[j]
    if (norm === 0) {
      off[k] = v[k + 1]
      continue
    }
    norm = Math.sqrt(norm + v[k + 1] * v[k + 1])
    const head = v[k + 1] > 0 ? -norm : norm
    const tau = (head - v[k + 1]) / head
    const scale = 1 / (v[k + 1] - head)
    v[k + 1] = 1
    for (let j = k + 2; j < n; j++) v[j] *= scale
    off[k] = head
    taus[k] = tau
    let dot = 0
    for (let i = k + 1; i < n; i++) {
      let sum = 0
      for (let j = k + 1; j < n; j++) sum += a[i * n + j] * v[j]
      p[i] = tau * sum
      dot += p[i] * v[i]
    }
    const half = (tau * dot) / 2
    for (let i = k + 1; i < n; i++) p[i] -= half * v[i]
    for (let i = k + 1; i < n; i++) {
      const [vi, pi] = [v[i], p[i]]
      for (let j = k + 1; j < n; j++) a[i * n + j] -= vi * p[j] + pi * v[j]
    }
  }
  if (n > 1) off[n - 2] = a[(n - 2) * n + n - 1]
  const diagonal = Float64Array.from({ length: n }, (_, i) => a[i * n + i])
  return { diagonal, off, qt: accumulate(a, taus, n) }
}

/** Qᵀ = … H₁ H₀ from the reflectors in the rows of `a`. */
function accumulate(a: Float64Array, taus: Float64Array, n: number): Float64Array {
  const qt = new Float64Array(n * n)
  for (let i = 0; i < n; i++) qt[i * n + i] = 1
  for (let k = n - 3; k >= 0; k--) {
    if (taus[k] === 0) continue
    const v = a.subarray(k * n, (k + 1) * n)
    for (let i = k + 1; i < n; i++) {
      let sum = 0
      for (let j = k + 1; j < n; j++) sum += qt[i * n + j] * v[j]
      sum *= taus[k]
      for (let j = k + 1; j < n; j++) qt[i * n + j] -= sum * v[j]
    }
  }
  return qt
}

/** Takes the rotations of one sweep, `cs` = c, s, c, s, … for rows first, first − 1, …: see `rotateRows`. */
export type TakeSweep = (first: number, count: number, cs: Float64Array) => void

/** Reference implementation of the wasm kernel: rows i + 1 and i of `z`, i = first, first − 1, …, are rotated by each pair c, s. */
export function rotateRows(z: Float64Array, n: number, first: number, count: number, cs: Float64Array): void {
  for (let r = 0; r < count; r++) {
    const [c, s] = [cs[2 * r], cs[2 * r + 1]]
    const upper = (first - r) * n
    const lower = upper + n
    for (let j = 0; j < n; j++) {
      const f = z[lower + j]
      const e = z[upper + j]
      z[lower + j] = s * e + c * f
      z[upper + j] = c * e - s * f
    }
  }
}

/**
 * Implicit QL on a tridiagonal matrix: `diagonal` becomes the eigenvalues (unordered); `take` gets the rotations.
 *
 * @returns false when it does not converge
 */
export function implicitQl(diagonal: Float64Array, off: Float64Array, n: number, take: TakeSweep): boolean {
  const cs = new Float64Array(2 * n)
  for (let l = 0; l < n; l++) {
    for (let iteration = 0; ; iteration++) {
      let m = l
      for (; m < n - 1; m++) {
        const scale = Math.abs(diagonal[m]) + Math.abs(diagonal[m + 1])
        if (Math.abs(off[m]) <= Number.EPSILON * scale) break
      }
      if (m === l) break
      if (iteration === 60) return false
      let g = (diagonal[l + 1] - diagonal[l]) / (2 * off[l])
      let r = Math.hypot(g, 1)
      g = diagonal[m] - diagonal[l] + off[l] / (g + (g >= 0 ? r : -r))
      let [s, c, p] = [1, 1, 0]
      let count = 0
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * off[i]
        const b = c * off[i]
        r = Math.sqrt(f * f + g * g)
        off[i + 1] = r
        if (r === 0) {
          diagonal[i + 1] -= p
          off[m] = 0
          break
        }
        s = f / r
        c = g / r
        g = diagonal[i + 1] - p
        r = (diagonal[i] - g) * s + 2 * c * b
        p = s * r
        diagonal[i + 1] = g + p
        g = c * r - b
        cs[2 * count] = c
        cs[2 * count + 1] = s
        count++
      }
      take(m - 1, count, cs)
      if (r === 0 && i >= l) continue
      diagonal[l] -= p
      off[l] = g
      off[m] = 0
    }
  }
  return true
}
