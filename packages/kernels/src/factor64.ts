import { doubles, type Engine, engine, reserve } from './engine.ts'
import * as reference from './reference/cholesky.ts'
import { solveInPlace as solveReference } from './reference/triangular.ts'

/** Above `LARGEST` rows a matrix does not fit the kernels' memory; below `SMALLEST` copying costs more than it saves. */
const [LARGEST, SMALLEST] = [6000, 16]

const engineFor = (n: number) => (n > LARGEST || n < SMALLEST ? undefined : engine())

/** The kernels take sides that are multiples of 4. */
const padded = (n: number): number => Math.ceil(n / 4) * 4

/** Copies `a` `[n, n]` to the kernels' memory, in the corner of a larger matrix that is 1 on the rest of its diagonal. */
function putSquare(e: Engine, at: number, a: Float64Array, n: number): void {
  const side = padded(n)
  const there = doubles(e, at, side * side)
  if (side === n) {
    there.set(a)
    return
  }
  there.fill(0)
  for (let i = 0; i < n; i++) there.set(a.subarray(i * n, (i + 1) * n), i * side)
  for (let i = n; i < side; i++) there[i * side + i] = 1
}

/** Copies back to `a` what `putSquare` copied there. */
function getSquare(e: Engine, at: number, a: Float64Array, n: number): Float64Array {
  const side = padded(n)
  const there = doubles(e, at, side * side)
  if (side === n) a.set(there)
  else for (let i = 0; i < n; i++) a.set(there.subarray(i * side, i * side + n), i * n)
  return a
}

/** Bytes of 16 sums. */
const SUMS = 128

/** Cholesky factorisation in the lower triangle of row-major `a`; false when it is not positive definite. */
export function choleskyInPlace(a: Float64Array, n: number): boolean {
  const e = engineFor(n)
  if (!e) return reference.choleskyInPlace(a, n)
  const side = padded(n)
  const [pa, ps] = reserve(e, 8 * side * side, SUMS)
  putSquare(e, pa, a, n)
  if (!e.kernels.cholesky(pa, side, ps)) return false
  getSquare(e, pa, a, n)
  return true
}

/** Inverse of the lower triangle of `l`, in place; what is above it is lost. */
export function invertLowerInPlace(l: Float64Array, n: number): void {
  const e = engineFor(n)
  if (!e) {
    reference.invertLowerInPlace(l, n)
    return
  }
  const side = padded(n)
  const [pl, ps] = reserve(e, 8 * side * side, 32 * side + SUMS)
  putSquare(e, pl, l, n)
  e.kernels.invertLower(pl, side, ps)
  getSquare(e, pl, l, n)
}

/** LᵀL of the lower triangle of `l`; `l` is used up. */
export function lowerGram(l: Float64Array, n: number): Float64Array {
  const e = engineFor(n)
  if (!e) return reference.lowerGram(l, n)
  const side = padded(n)
  const bytes = 8 * side * side
  const [pl, po, pt, ps] = reserve(e, bytes, bytes, bytes, SUMS)
  putSquare(e, pl, l, n)
  e.kernels.lowerGram(pl, side, po, pt, ps)
  return getSquare(e, po, l, n)
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
  if (!e) return solveReference(t, byRow, byCol, x, n, m, forward)
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
