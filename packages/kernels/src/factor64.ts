import { doubles, engine, reserve } from './engine.ts'
import * as twin from './reference/cholesky.ts'
import { solveInPlace as solveTwin } from './reference/triangular.ts'

/** Sides above this do not fit the kernels' memory; under the other, copying costs more than it saves. */
const [LARGEST, SMALLEST] = [6000, 16]

const engineFor = (n: number) => (n > LARGEST || n < SMALLEST ? undefined : engine())

/** Cholesky factorisation in the lower triangle of row-major `a`; false when it is not positive definite. */
export function choleskyInPlace(a: Float64Array, n: number): boolean {
  const e = engineFor(n)
  if (!e) return twin.choleskyInPlace(a, n)
  const [pa, ps] = reserve(e, 8 * n * n, 32)
  doubles(e, pa, n * n).set(a)
  if (!e.kernels.cholesky(pa, n, ps)) return false
  a.set(doubles(e, pa, n * n))
  return true
}

/** Inverse of the lower triangle of `l`, in place. */
export function invertLowerInPlace(l: Float64Array, n: number): void {
  const e = engineFor(n)
  if (!e) {
    twin.invertLowerInPlace(l, n)
    return
  }
  const [pl, ps] = reserve(e, 8 * n * n, 32 * n)
  doubles(e, pl, n * n).set(l)
  e.kernels.invertLower(pl, n, ps)
  l.set(doubles(e, pl, n * n))
}

/** LᵀL of the lower triangle of `l`. */
export function lowerGram(l: Float64Array, n: number): Float64Array {
  const e = engineFor(n)
  if (!e) return twin.lowerGram(l, n)
  const bytes = 8 * n * n
  const [pl, po, pt, ps] = reserve(e, bytes, bytes, bytes, 32)
  doubles(e, pl, n * n).set(l)
  e.kernels.lowerGram(pl, n, po, pt, ps)
  return doubles(e, po, n * n).slice()
}

/** Right-hand sides that are copied to the kernels' memory at a time. */
const COLUMNS = 1024

/** Solves T X = B, or Tᵀ X = B, for B `[n, m]`, in place of B; false when a diagonal entry is 0. */
export function solveInPlace(
  t: Float64Array,
  transpose: boolean,
  x: Float64Array,
  n: number,
  m: number,
  forward: boolean,
): boolean {
  const [byRow, byCol] = transpose ? [1, n] : [n, 1]
  const e = engineFor(n)
  if (!e) return solveTwin(t, byRow, byCol, x, n, m, forward)
  for (let from = 0; from < m; from += COLUMNS) {
    const width = Math.min(COLUMNS, m - from)
    const [pt, px] = reserve(e, 8 * n * n, 8 * n * width)
    doubles(e, pt, n * n).set(t)
    const block = doubles(e, px, n * width)
    for (let i = 0; i < n; i++) block.set(x.subarray(i * m + from, i * m + from + width), i * width)
    if (!e.kernels.solve(pt, 8 * byRow, 8 * byCol, px, n, width, +forward)) return false
    for (let i = 0; i < n; i++) x.set(block.subarray(i * width, (i + 1) * width), i * m + from)
  }
  return true
}
