import { toMatrix } from '@reallm/tensor-io'
import type { AdapterModule } from '@reallm/tensor-io/models'
import type { Engine } from '../engine.ts'
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
  const ratios = magnitude.data.map((m, r) => m / rowNorm(engine, sum, r))
  return scaledLinear(engine, sum, { rows: engine.upload(ratios) })
}

function rowNorm(engine: Engine, linear: Linear, row: number): number {
  const { at } = engine.scratch('row', linear.cols)
  linear.row(row, at, 1)
  return Math.hypot(...engine.arena.floats(at, linear.cols))
}
