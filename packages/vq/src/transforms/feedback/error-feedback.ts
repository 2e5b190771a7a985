import { type Matrix, tileOf } from '@reallm/tensor-io'
import { unitFactor } from './block-ldl.ts'

/** Columns whose errors are gathered before one matrix product pushes them onto the later columns of their span. */
const BATCH = 32
/**
 * Columns whose errors are gathered before one product pushes them onto everything after: one of few errors would take longer to
 * go through all later columns than to multiply.
 */
const SPAN = 512

/** How the errors of a batch of columns (or rows) change the ones after them in their span, under one Hessian. */
export interface BatchFeedback {
  /** `V[start … end, start … end]` of `unitFactor`: `W_later += E_B V_B,later`, with `E_B` decoded less wanted. */
  readonly within: Matrix
  /** `V[start … end, end … end of the span]` */
  readonly later: Matrix
}

/** How the error of a block of columns (or rows) changes the ones after it, under one Hessian. */
export interface ErrorFeedback {
  /** Columns between two products: a whole number of blocks, and of groups or a part of one. */
  readonly batch: number
  /** Columns after which errors are pushed onto everything after: a whole number of batches. */
  readonly span: number
  /** Of the batch that begins at `start`. */
  at(start: number): BatchFeedback
  /** `V[start … end, end …]` of the span that begins at `start`. */
  afterSpan(start: number): Matrix
}

export interface FeedbackShape {
  /** Columns that are quantised together. */
  readonly block: number
  /** Columns that share a scale, so that all of them are needed up to date when the group starts. */
  readonly group: number
}

/**
 * Error feedback that is gone through once.
 *
 * @param factor upper triangular `U` with `H⁻¹ = UᵀU`, `[n, n]`
 * @param blockCols columns of several groups that are all needed up to date when the first one starts
 */
export function feedbackInSpans(factor: Matrix, shape: FeedbackShape, blockCols = 0): ErrorFeedback {
  const batch = batchSize(shape)
  const unit = Math.max(batch, shape.group, blockCols)
  return feedbackOf(factor, shape.block, batch, unit * Math.ceil(SPAN / unit))
}

/** The same, all in one span, to be gone through again and again: its batches are kept, and take as much memory as the factor. */
export function keptFeedback(factor: Matrix, shape: FeedbackShape): ErrorFeedback {
  const feedback = feedbackOf(factor, shape.block, batchSize(shape), factor.rows)
  const kept = new Map<number, BatchFeedback>()
  return {
    ...feedback,
    at(start) {
      const found = kept.get(start) ?? feedback.at(start)
      kept.set(start, found)
      return found
    },
  }
}

function feedbackOf(factor: Matrix, block: number, batch: number, span: number): ErrorFeedback {
  const n = factor.rows
  /** Rows `from` to `to` of `V`, from column `from` to `last`. */
  const rowsOf = (from: number, to: number, last: number) =>
    unitFactor(tileOf(factor, from, from, to - from, last - from), block)
  return {
    batch,
    span,
    at(start) {
      const size = Math.min(batch, n - start)
      const rows = rowsOf(start, start + size, Math.min(start - (start % span) + span, n))
      return { within: tileOf(rows, 0, 0, size, size), later: tileOf(rows, 0, size, size, rows.cols - size) }
    },
    afterSpan(start) {
      const size = Math.min(span, n - start)
      return tileOf(rowsOf(start, start + size, n), 0, size, size, n - start - size)
    },
  }
}

/** A multiple of the columns that belong together near 32, or 32 itself where it divides a larger number of them. */
function batchSize({ block, group }: FeedbackShape): number {
  const unit = Math.max(block, group)
  if (unit % BATCH === 0) return BATCH
  return unit * Math.max(1, Math.round(BATCH / unit))
}
