import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { doubles, type Engine, engine, reserve } from './engine.ts'
import { implicitQl, rotateRows, tridiagonalise } from './reference/eigh.ts'
import { shapeText, squareSize } from './shapes.ts'

/** Sides above this do not fit the kernels' memory. */
const LARGEST = 6000
/** Rotations that are collected before they are applied. */
const BATCH = 32768

/** Eigenvalues and eigenvectors of a symmetric matrix. */
export interface Eigen {
  /** Eigenvalues, largest first. */
  readonly values: Float32Array
  /** `[n, n]`: column j belongs to `values[j]`; A = V diag(values) Vᵀ. */
  readonly vectors: Matrix
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix `[n, n]`, in float64 (Householder, implicit QL).
 *
 * @throws ReallmError `numeric` when the matrix holds NaN or infinities
 */
export function eigh(a: Matrix): Eigen {
  const n = squareSize(a, 'the matrix')
  const { values, rows } = eighFloat64(Float64Array.from(a.data), n)
  if (!values.every(Number.isFinite)) {
    throw new ReallmError('numeric', `the matrix ${shapeText(a)} holds NaN or infinities: no eigenvalues`)
  }
  const vectors = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) vectors.data[j * n + i] = rows[i * n + j]
  return { values: Float32Array.from(values), vectors }
}

/** The same in float64, eigenvectors in rows; destroys `a`. */
export function eighFloat64(a: Float64Array, n: number): { values: Float64Array; rows: Float64Array } {
  const e = n > LARGEST || n < 8 ? undefined : engine()
  const { diagonal, rows: unordered } = e ? compiled(e, a, n) : plain(a, n)
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[j] - diagonal[i] || i - j)
  const rows = new Float64Array(n * n)
  for (const [to, from] of order.entries()) rows.set(unordered.subarray(from * n, (from + 1) * n), to * n)
  return { values: Float64Array.from(order, i => diagonal[i]), rows }
}

function plain(a: Float64Array, n: number) {
  const { diagonal, off, qt } = tridiagonalise(a, n)
  const done = implicitQl(diagonal, off, n, (first, count, cs) => rotateRows(qt, n, first, count, cs))
  if (!done) diagonal.fill(Number.NaN)
  return { diagonal, rows: qt }
}

/** The same with compiled kernels; sweeps are collected, so that each row is rotated many times while it is in the cache. */
function compiled(e: Engine, a: Float64Array, n: number) {
  const { kernels } = e
  const [pa, pq, po, pt, ps, pc] = reserve(
    e,
    8 * n * n,
    8 * n * n,
    8 * n,
    8 * n,
    16 * Math.max(n, BATCH),
    16 * (BATCH + n),
  )
  doubles(e, pa, n * n).set(a)
  kernels.tridiagonalise(pa, n, po, pt, ps)
  kernels.accumulate(pa, pt, n, pq)
  const reduced = doubles(e, pa, n * n)
  const diagonal = Float64Array.from({ length: n }, (_, i) => reduced[i * n + i])
  const off = doubles(e, po, n).slice()
  const sweeps = new Int32Array(e.memory.buffer, ps, 2 * BATCH)
  const rotations = doubles(e, pc, 2 * (BATCH + n))
  let [sweepCount, filled] = [0, 0]
  const flush = () => {
    kernels.rotateRows(pq, n, ps, sweepCount, pc)
    sweepCount = filled = 0
  }
  const done = implicitQl(diagonal, off, n, (first, count, cs) => {
    if (count === 0) return
    sweeps[2 * sweepCount] = first
    sweeps[2 * sweepCount++ + 1] = count
    rotations.set(cs.subarray(0, 2 * count), filled)
    filled += 2 * count
    if (filled >= 2 * BATCH || sweepCount === BATCH) flush()
  })
  flush()
  if (!done) diagonal.fill(Number.NaN)
  return { diagonal, rows: doubles(e, pq, n * n).slice() }
}
