import { ReallmError, toMatrix } from '@reallm/tensor-io'
import type { AdapterModule } from '@reallm/tensor-io/models'
import { BATCH, type Engine } from '../engine.ts'
import type { Linear } from './linear.ts'
import { lowRankLinear } from './low-rank-linear.ts'
import { scaledLinear } from './scaled-linear.ts'

/** `W + scaling · b a`, of DoRA with its rows' norms put to `magnitude`; `base` is kept and disposed of by its owner. */
export function adapted(engine: Engine, base: Linear, change: AdapterModule): Linear {
  const { a, b, scaling, magnitude } = change
  const kept = { ...base, dispose() {} }
  const factors = { left: toMatrix(b), right: toMatrix(a) }
  const sum = lowRankLinear(engine, kept, [base.rows, base.cols], factors, scaling)
  if (!magnitude) return sum
  const norms = rowNorms(engine, sum)
  const ratios = magnitude.data.map((m, r) => m / norms[r])
  return scaledLinear(engine, sum, { rows: engine.upload(ratios) })
}

/** Norms of all rows; of a matrix whose rows cannot be read by themselves, as it is rotated on both sides, from its columns. */
function rowNorms(engine: Engine, linear: Linear): ArrayLike<number> {
  try {
    return Array.from({ length: linear.rows }, (_, r) => rowNorm(engine, linear, r))
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'unsupported') return normsByColumns(engine, linear)
    throw error
  }
}

function rowNorm(engine: Engine, linear: Linear, row: number): number {
  const { at } = engine.scratch('row', linear.cols)
  linear.row(row, at, 1)
  return Math.hypot(...engine.arena.floats(at, linear.cols))
}

/** Columns are products with unit vectors. */
function normsByColumns(engine: Engine, linear: Linear): Float64Array {
  const { rows, cols } = linear
  const units = engine.scratch('unit vectors', cols)
  const { at } = engine.scratch('columns', rows)
  const squares = new Float64Array(rows)
  for (let first = 0; first < cols; first += BATCH) {
    const count = Math.min(BATCH, cols - first)
    const ones = engine.arena.floats(units.at, count * cols).fill(0)
    for (let t = 0; t < count; t++) ones[t * cols + first + t] = 1
    linear.apply(units.changed(), at, rows, count, false)
    const columns = engine.arena.floats(at, count * rows)
    for (let i = 0; i < columns.length; i++) squares[i % rows] += columns[i] ** 2
  }
  return squares.map(Math.sqrt)
}
