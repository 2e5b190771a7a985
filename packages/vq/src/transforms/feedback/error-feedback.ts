import { type Matrix, tileOf } from '@reallm/tensor-io'
import { unitFactor } from './block-ldl.ts'

/** Columns whose errors are gathered before one matrix product pushes them onto all later columns. */
const BATCH = 32

/** How the errors of a batch of columns (or rows) change the ones after them, under one Hessian. */
export interface BatchFeedback {
  /** `V[start … end, start … end]` of `unitFactor`: `W_later += E_B V_B,later`, with `E_B` decoded less wanted. */
  readonly within: Matrix
  /** `V[start … end, end …]` */
  readonly later: Matrix
}

/** How the error of a block of columns (or rows) changes the ones after it, under one Hessian. */
export interface ErrorFeedback {
  /** Columns between two products: a whole number of blocks, and of groups or a part of one. */
  readonly batch: number
  /** Of the batch that begins at `start`. */
  at(start: number): BatchFeedback
}

export interface FeedbackShape {
  /** Columns that are quantised together. */
  readonly block: number
  /** Columns that share a scale, so that all of them are needed up to date when the group starts. */
  readonly group: number
  /** Whether batches are gone through more than once: they are then kept, and take as much memory as the factor. */
  readonly again: boolean
}

/**
 * Prepares error feedback for one Hessian.
 *
 * @param factor upper triangular `U` with `H⁻¹ = UᵀU`, `[n, n]`
 */
export function errorFeedback(factor: Matrix, { block, group, again }: FeedbackShape): ErrorFeedback {
  const batch = batchSize(Math.max(block, group))
  const kept = new Map<number, BatchFeedback>()
  function batchAt(start: number): BatchFeedback {
    const end = Math.min(start + batch, factor.rows)
    const unit = unitFactor(factor, block, start, end)
    const rows = end - start
    return { within: tileOf(unit, 0, 0, rows, rows), later: tileOf(unit, 0, rows, rows, unit.cols - rows) }
  }
  return {
    batch,
    at(start) {
      const found = kept.get(start) ?? batchAt(start)
      if (again) kept.set(start, found)
      return found
    },
  }
}

/** A multiple of `unit` near 32, or 32 itself where it divides a larger `unit`. */
function batchSize(unit: number): number {
  if (unit % BATCH === 0) return BATCH
  return unit * Math.max(1, Math.round(BATCH / unit))
}
