import { dampedFactor, matmul, transpose } from '@reallm/kernels'
import {
  type ColumnCodec,
  type ColumnEncoder,
  copyMatrix,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  putTile,
  throwIfAborted,
  tileOf,
  zeroMatrix,
} from '@reallm/tensor-io'
import { blockLoss, targetVariance } from './block-ldl.ts'
import { type BatchFeedback, type ErrorFeedback, feedbackInSpans, keptFeedback } from './error-feedback.ts'

/** Shares of the mean diagonal that are added to `H`, and to `H_out`, by default. */
export const DAMPING = 0.01
export const OUTPUT_DAMPING = 0.6

/** Damping: shares of the mean diagonal that are added to the Hessians before they are factorised. */
export interface FeedbackOptions {
  /** For `H`, unless it is damped already; 0.01 by default, raised by itself when the factorisation fails. */
  readonly damping?: number | undefined
  /** For `H_out`, which is estimated from fewer samples than `H`; 0.6 by default. */
  readonly outputDamping?: number | undefined
}

/**
 * Error feedback (GPTQ, arXiv 2210.17323; LDLQ, QuIP, arXiv 2307.13304): encodes column blocks from left to right and pushes
 * each block's rounding error onto the columns not yet encoded, which make up for it under `ctx.hessian`
 * (`H = XᵀX / tokens`, `[in, in]`). With `ctx.outputHessian` (`[out, out]`) the same happens over the row tiles inside every
 * column block (two-sided, YAQA, arXiv 2505.22988). Parameters, cost and decoder are the inner codec's: nothing of this is
 * stored. Without either Hessian it is the inner codec's plain `encode`.
 *
 * Throws `numeric` when a Hessian cannot be factorised, and what the inner codec throws.
 *
 * @example
 * const stored = await withFeedback(grid).encode(w, { bits: 3, group: 64 }, { hessian, seed: 1 })
 */
export function withFeedback<P>(codec: ColumnCodec<P>, options: FeedbackOptions = {}): MatrixCodec<P> {
  const { damping = DAMPING, outputDamping = OUTPUT_DAMPING } = options
  return {
    ...codec,
    async encode(w, params, ctx) {
      const { hessian, outputHessian, isDamped } = ctx
      if (!hessian && !outputHessian) return codec.encode(w, params, ctx)
      const columnFactor = hessian && factorOf(hessian, isDamped ? 0 : damping)
      const rowFactor = outputHessian && factorOf(outputHessian, outputDamping)
      const encoder = await codec.columns(w, params, {
        ...ctx,
        columnLoss: columnFactor && (block => blockLoss(columnFactor, block)),
        columnVariance: columnFactor && ((block, noise) => targetVariance(columnFactor, block, noise)),
      })
      ctx.onHessianRead?.()
      const { tileCols, groupCols, tileRows, blockCols } = encoder
      return encodeColumns(
        w,
        encoder,
        columnFactor && feedbackInSpans(columnFactor, { block: tileCols, group: groupCols }, blockCols),
        rowFactor && keptFeedback(rowFactor, { block: tileRows, group: tileRows }),
        ctx,
      )
    },
  }
}

/** The last factor of each Hessian: one matrix is often encoded several times under the same one. */
const factors = new WeakMap<Matrix, { readonly damping: number; readonly factor: Matrix }>()

function factorOf(hessian: Matrix, damping: number): Matrix {
  const known = factors.get(hessian)
  if (known?.damping === damping) return known.factor
  const { factor } = dampedFactor(hessian, damping)
  factors.set(hessian, { damping, factor })
  return factor
}

async function encodeColumns(
  w: Matrix,
  encoder: ColumnEncoder,
  overColumns: ErrorFeedback | undefined,
  overRows: ErrorFeedback | undefined,
  ctx: EncodeContext,
): Promise<EncodedMatrix> {
  const { tileCols, groupCols, blockCols = w.cols } = encoder
  // Transposed, so that the later columns are one piece of memory.
  const target = transpose(w)
  const columns = (from: number, count: number) => transpose(tileOf(target, from, 0, count, w.rows))
  const { batch, span } = overColumns ?? { batch: w.cols, span: w.cols }
  for (let from = 0; from < w.cols; from += span) {
    const to = Math.min(from + span, w.cols)
    const errors = zeroMatrix(to - from, w.rows)
    for (let start = from; start < to; start += batch) {
      const end = Math.min(start + batch, to)
      const feedback = overColumns?.at(start)
      for (let col = start; col < end; col += tileCols) {
        throwIfAborted(ctx.signal)
        if (col % blockCols === 0) encoder.startBlock?.(columns(col, blockCols), col)
        if (col % groupCols === 0) encoder.startGroup?.(columns(col, groupCols), col)
        const block = columns(col, tileCols)
        const error = transpose(
          overRows
            ? encodeRows(block, col, encoder, overRows)
            : errorOf(block, encoder.quantise(block, 0, col)),
        )
        putTile(errors, error, col - from, 0)
        if (feedback) pushInBatch(target, error, col, [start, end], feedback)
      }
      if (feedback) pushOnto(target, end, rowsOf(errors, start - from, end - from), feedback.later)
      ctx.onProgress?.({ event: 'columns-end', done: end, total: w.cols })
      if (ctx.signal) await new Promise(resolve => setTimeout(resolve))
    }
    if (overColumns) pushOnto(target, to, errors, overColumns.afterSpan(from))
  }
  return encoder.finish()
}

/** Error feedback over the row tiles of one column block; returns the block's whole error, `[rows, tileCols]`. */
function encodeRows(block: Matrix, col: number, encoder: ColumnEncoder, feedback: ErrorFeedback): Matrix {
  const { tileRows } = encoder
  const { rows, cols } = block
  if (tileRows === 1 && cols === 1) return encodeSingleRows(block, col, encoder, feedback)
  const target = copyMatrix(block)
  const decoded = zeroMatrix(rows, cols)
  for (let start = 0; start < rows; start += feedback.batch) {
    const end = Math.min(start + feedback.batch, rows)
    const errors = zeroMatrix(end - start, cols)
    const now = feedback.at(start)
    for (let row = start; row < end; row += tileRows) {
      const tile = tileOf(target, row, 0, tileRows, cols)
      const got = encoder.quantise(tile, row, col)
      putTile(decoded, got, row, 0)
      const error = errorOf(tile, got)
      putTile(errors, error, row - start, 0)
      pushInBatch(target, error, row, [start, end], now)
    }
    pushOnto(target, end, errors, now.later)
  }
  return errorOf(block, decoded)
}

/** The same for one column of rows that do not depend on each other. */
function encodeSingleRows(
  block: Matrix,
  col: number,
  encoder: ColumnEncoder,
  { batch, at }: ErrorFeedback,
): Matrix {
  const { rows } = block
  const target = Float64Array.from(block.data)
  const errors = zeroMatrix(rows, 1)
  for (let start = 0; start < rows; start += batch) {
    const end = Math.min(start + batch, rows)
    const { within, later } = at(start)
    for (let row = start; row < end; row++) {
      const wanted = target[row]
      const [got] = encoder.quantise({ rows: 1, cols: 1, data: Float32Array.of(wanted) }, row, col).data
      const error = got - wanted
      errors.data[row] = got - block.data[row]
      const own = (row - start) * within.cols
      for (let r = row + 1; r < end; r++) target[r] += within.data[own + r - start] * error
      const after = (row - start) * later.cols
      for (let r = end; r < rows; r++) target[r] += later.data[after + r - end] * error
    }
  }
  return errors
}

function errorOf(wanted: Matrix, got: Matrix): Matrix {
  const data = new Float32Array(wanted.data.length)
  for (let i = 0; i < data.length; i++) data[i] = got.data[i] - wanted.data[i]
  return { rows: wanted.rows, cols: wanted.cols, data }
}

/** Pushes the error of the rows at `row` onto the later rows of their batch, `start` to `end`. */
function pushInBatch(
  target: Matrix,
  error: Matrix,
  row: number,
  [start, end]: readonly [start: number, end: number],
  { within }: BatchFeedback,
): void {
  const { cols, data } = target
  for (let e = 0; e < error.rows; e++) {
    for (let r = row + error.rows; r < end; r++) {
      const factor = within.data[(row - start + e) * within.cols + r - start]
      for (let c = 0; c < cols; c++) data[r * cols + c] += factor * error.data[e * cols + c]
    }
  }
}

/** Pushes errors onto the rows of the target from `first` on, as many as they change. */
function pushOnto(target: Matrix, first: number, errors: Matrix, changes: Matrix): void {
  if (changes.cols === 0) return
  const out = rowsOf(target, first, first + changes.cols)
  matmul(changes, errors, { transposeA: true, out, accumulate: true })
}

/** Rows of a matrix, in its memory. */
const rowsOf = ({ cols, data }: Matrix, from: number, to: number): Matrix => ({
  rows: to - from,
  cols,
  data: data.subarray(from * cols, to * cols),
})
