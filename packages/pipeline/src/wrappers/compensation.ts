import type { Matrix } from '@reallm/tensor-io'
import { blockUnit } from './block-unit.ts'
import { tileOf } from './tiles.ts'

/** Columns whose errors are gathered before one product pushes them onto all that follow. */
const BATCH = 32

/** How the columns (or rows) after a block make up for its error under a second moment. */
export interface Compensation {
  /** Columns between two products: a whole number of blocks, and of groups or a part of one. */
  readonly batch: number
  /** `V` of `blockUnit`, `[n, n]`: `W_rest += E_B V_B,rest`, `E` being what was decoded less what was wanted. */
  readonly unit: Matrix
  /** `V[start … start + batch, start + batch …]` of the batch that begins at `start`. */
  ahead(start: number): Matrix
}

/**
 * How feedback rounding pushes errors on.
 *
 * @param factor upper triangular `U` with `H⁻¹ = UᵀU`, `[n, n]`
 * @param block columns that are quantised together
 * @param group columns that have to be up to date together
 */
export function compensation(factor: Matrix, block: number, group: number): Compensation {
  const unit = blockUnit(factor, block)
  const batch = batchSize(Math.max(block, group))
  const n = unit.rows
  const ahead: Matrix[] = []
  for (let end = batch; end < n; end += batch) ahead.push(tileOf(unit, end - batch, end, batch, n - end))
  return { batch, unit, ahead: start => ahead[start / batch] }
}

/** A multiple of `unit` near 32, or 32 itself where it divides a larger `unit`. */
function batchSize(unit: number): number {
  if (unit % BATCH === 0) return BATCH
  return unit * Math.max(1, Math.round(BATCH / unit))
}
