import { dampedFactor, matmul, transpose } from '@reallm/kernels'
import {
  type ColumnCodec,
  type ColumnEncoder,
  copyMatrix,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  throwIfAborted,
  zeroMatrix,
} from '@reallm/tensor-io'
import { blockLoss } from './block-unit.ts'
import { type Compensation, compensation } from './compensation.ts'
import { putTile, tileOf } from './tiles.ts'

/** Shares of the mean diagonal that are added to the second moments before they are factorised. */
export interface FeedbackOptions {
  /** For `H`; 0.01 by default, raised by itself when the factorisation fails. */
  readonly damping?: number
  /** For `H_out`, which is estimated from fewer samples and trusted less; 0.6 by default. */
  readonly outputDamping?: number
}

/**
 * Feedback rounding (GPTQ / LDLQ): encodes column blocks from left to right and pushes each block's error onto the
 * columns not yet encoded, which make up for it under `ctx.hessian`. With `ctx.outputHessian` the same happens over
 * the row tiles inside every column block (two-sided, as in YAQA, arXiv 2505.22988). Parameters, cost and decoder
 * are the inner codec's: nothing of this is stored. Without either moment it is the inner codec's plain `encode`.
 *
 * Throws `numeric` when a second moment cannot be factorised, and what the inner codec throws.
 *
 * @example
 * const stored = await withFeedback(grid).encode(w, { bits: 3, group: 64 }, { hessian, seed: 1 })
 */
export function withFeedback<P>(codec: ColumnCodec<P>, options: FeedbackOptions = {}): MatrixCodec<P> {
  const { damping = 0.01, outputDamping = 0.6 } = options
  return {
    ...codec,
    async encode(w, params, ctx) {
      const { hessian, outputHessian } = ctx
      if (!hessian && !outputHessian) return codec.encode(w, params, ctx)
      const overColumns = hessian && factorOf(hessian, damping)
      const overRows = outputHessian && factorOf(outputHessian, outputDamping)
      const encoder = await codec.columns(w, params, {
        ...ctx,
        ...(overColumns && { columnLoss: block => blockLoss(overColumns, block) }),
      })
      const { tileCols, groupCols, tileRows } = encoder
      return encodeColumns(
        w,
        encoder,
        overColumns && compensation(overColumns, tileCols, groupCols),
        overRows && compensation(overRows, tileRows, tileRows),
        ctx,
      )
    },
  }
}

/** Factors found last: a matrix is often encoded several times under one moment. */
const factors = new WeakMap<Matrix, { readonly damping: number; readonly factor: Matrix }>()

function factorOf(moment: Matrix, damping: number): Matrix {
  const known = factors.get(moment)
  if (known?.damping === damping) return known.factor
  const { factor } = dampedFactor(moment, damping)
  factors.set(moment, { damping, factor })
  return factor
}

async function encodeColumns(
  w: Matrix,
  encoder: ColumnEncoder,
  overColumns: Compensation | undefined,
  overRows: Compensation | undefined,
  ctx: EncodeContext,
): Promise<EncodedMatrix> {
  const { tileCols, groupCols } = encoder
  // On its side, so that the columns to come are one piece of memory.
  const residual = transpose(w)
  const columns = (from: number, count: number) => transpose(tileOf(residual, from, 0, count, w.rows))
  const batch = overColumns?.batch ?? w.cols
  for (let start = 0; start < w.cols; start += batch) {
    const end = Math.min(start + batch, w.cols)
    const errors = zeroMatrix(end - start, w.rows)
    for (let col = start; col < end; col += tileCols) {
      throwIfAborted(ctx.signal)
      if (col % groupCols === 0) encoder.startGroup?.(columns(col, groupCols), col)
      const block = columns(col, tileCols)
      const error = transpose(
        overRows
          ? encodeRows(block, col, encoder, overRows)
          : errorOf(block, encoder.quantise(block, 0, col)),
      )
      putTile(errors, error, col - start, 0)
      if (overColumns) pushNear(residual, error, col, end, overColumns)
    }
    if (overColumns) pushFar(residual, errors, start, overColumns)
    ctx.onProgress?.({ event: 'columns-end', done: end, total: w.cols })
    if (ctx.signal) await new Promise(resolve => setTimeout(resolve))
  }
  return encoder.finish()
}

/** Feedback over the row tiles of one column block; returns the block's whole error, `[rows, tileCols]`. */
function encodeRows(block: Matrix, col: number, encoder: ColumnEncoder, over: Compensation): Matrix {
  const { tileRows } = encoder
  const { rows, cols } = block
  const residual = copyMatrix(block)
  const decoded = zeroMatrix(rows, cols)
  for (let start = 0; start < rows; start += over.batch) {
    const end = Math.min(start + over.batch, rows)
    const errors = zeroMatrix(end - start, cols)
    for (let row = start; row < end; row += tileRows) {
      const tile = tileOf(residual, row, 0, tileRows, cols)
      const got = encoder.quantise(tile, row, col)
      putTile(decoded, got, row, 0)
      const error = errorOf(tile, got)
      putTile(errors, error, row - start, 0)
      pushNear(residual, error, row, end, over)
    }
    pushFar(residual, errors, start, over)
  }
  return errorOf(block, decoded)
}

function errorOf(wanted: Matrix, got: Matrix): Matrix {
  const data = new Float32Array(wanted.data.length)
  for (let i = 0; i < data.length; i++) data[i] = got.data[i] - wanted.data[i]
  return { rows: wanted.rows, cols: wanted.cols, data }
}

/** Pushes the error of the rows at `row` onto those after them and before `end`. */
function pushNear(residual: Matrix, error: Matrix, row: number, end: number, { unit }: Compensation): void {
  const { cols, data } = residual
  for (let e = 0; e < error.rows; e++) {
    for (let r = row + error.rows; r < end; r++) {
      const factor = unit.data[(row + e) * unit.cols + r]
      for (let c = 0; c < cols; c++) data[r * cols + c] += factor * error.data[e * cols + c]
    }
  }
}

/** Pushes the errors of the batch of rows at `start` onto all rows behind it. */
function pushFar(residual: Matrix, errors: Matrix, start: number, { ahead }: Compensation): void {
  const end = start + errors.rows
  if (end === residual.rows) return
  const rest = { ...residual, rows: residual.rows - end, data: residual.data.subarray(end * residual.cols) }
  matmul(ahead(start), errors, { transposeA: true, out: rest, accumulate: true })
}
