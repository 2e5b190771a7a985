import { doubles, engine, reserve } from './engine.ts'
import * as twin from './reference/cholesky.ts'

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
