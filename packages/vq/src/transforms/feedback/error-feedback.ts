import { type Matrix, tileOf } from '@reallm/tensor-io'
import { unitFactor } from './block-ldl.ts'

/** Columns whose errors are gathered before one matrix product pushes them onto all later columns. */
const BATCH = 32

/** How the error of a block of columns (or rows) changes the ones after it, under one Hessian. */
export interface ErrorFeedback {
  /** Columns between two products: a whole number of blocks, and of groups or a part of one. */
  readonly batch: number
  /** `V` of `unitFactor`, `[n, n]`: `W_later += E_B V_B,later`, with `E_B` decoded less wanted. */
  readonly unit: Matrix
  /** `V[start … start + batch, start + batch …]` of the batch that begins at `start`. */
  later(start: number): Matrix
}

/**
 * Prepares error feedback for one Hessian.
 *
 * @param factor upper triangular `U` with `H⁻¹ = UᵀU`, `[n, n]`
 * @param block columns that are quantised together
 * @param group columns that share a scale, so that all of them are needed up to date when the group starts
 */
export function errorFeedback(factor: Matrix, block: number, group: number): ErrorFeedback {
  const unit = unitFactor(factor, block)
  const batch = batchSize(Math.max(block, group))
  const n = unit.rows
  const later: Matrix[] = []
  for (let end = batch; end < n; end += batch) later.push(tileOf(unit, end - batch, end, batch, n - end))
  return { batch, unit, later: start => later[start / batch] }
}

/** A multiple of `unit` near 32, or 32 itself where it divides a larger `unit`. */
function batchSize(unit: number): number {
  if (unit % BATCH === 0) return BATCH
  return unit * Math.max(1, Math.round(BATCH / unit))
}
