import {
  breather,
  type ColumnCodec,
  type ColumnContext,
  type ColumnEncoder,
  checkHessian,
  checkParts,
  checkShape,
  checkWeights,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixShape,
  parseParams,
  ReallmError,
  type StorageCost,
  shapeText,
  throwIfAborted,
} from '@reallm/tensor-io'
import type { ZodType } from 'zod'
import { tileOf } from './tiles.ts'

/** Definition of a column codec; `Full` are its parameters with the defaults filled in. */
export interface ColumnCodecSpec<Params, Full extends Params> {
  readonly name: string
  readonly params: ZodType<Full, Params>
  /** Throws `bad-option` when the shape does not fit. */
  cost(shape: MatrixShape, params: Full): StorageCost
  columns(w: Matrix, params: Full, ctx: ColumnContext): Promise<ColumnEncoder>
  /** Replaces quantising all columns in order, for codecs that encode better when they see the whole matrix. */
  encode?(w: Matrix, params: Full, ctx: EncodeContext): Promise<EncodedMatrix>
  /** Rows `from` to `to` of a stored matrix whose parts have been checked against `cost`. */
  decodeRows(e: EncodedMatrix<Full>, from: number, to: number): Matrix
}

/** A column codec whose rows can be decoded one by one. */
export type RowColumnCodec<Params> = ColumnCodec<Params> & Required<Pick<ColumnCodec<Params>, 'decodeRows'>>

/** Makes a codec of its definition: parses parameters, checks weights, Hessian and stored parts. */
export function columnCodec<Params, Full extends Params>(
  spec: ColumnCodecSpec<Params, Full>,
): RowColumnCodec<Params> {
  function checked(w: Matrix, given: Params, ctx: EncodeContext): Full {
    throwIfAborted(ctx.signal)
    const params = parseParams(spec.name, spec.params, given)
    checkShape([w.rows, w.cols])
    checkHessian(ctx.hessian, w.cols)
    spec.cost([w.rows, w.cols], params)
    checkWeights(w)
    return params
  }

  function decodeRows(e: EncodedMatrix, from: number, to: number): Matrix {
    const params = parseParams(spec.name, spec.params, e.params)
    checkShape(e.shape)
    checkParts(e, spec.cost(e.shape, params))
    if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= e.shape[0])) {
      throw new ReallmError('bad-option', `${shapeText(e.shape)} has no rows ${from} to ${to}`)
    }
    return spec.decodeRows({ ...e, params }, from, to)
  }

  return {
    name: spec.name,
    params: spec.params,
    cost(shape, given) {
      checkShape(shape)
      return spec.cost(shape, parseParams(spec.name, spec.params, given))
    },
    async encode(w, given, ctx) {
      const params = checked(w, given, ctx)
      return spec.encode
        ? spec.encode(w, params, ctx)
        : encodeColumns(await spec.columns(w, params, ctx), w, ctx)
    },
    async columns(w, given, ctx) {
      return spec.columns(w, checked(w, given, ctx), ctx)
    },
    decode: e => decodeRows(e, 0, e.shape[0]),
    decodeRows,
  }
}

/** Quantises every column block of `w` without error feedback, with the groups that the encoder fitted to `w`. */
export async function encodeColumns(
  encoder: ColumnEncoder,
  w: Matrix,
  ctx: EncodeContext,
): Promise<EncodedMatrix> {
  const breathe = breather(ctx)
  for (let col = 0; col < w.cols; col += encoder.tileCols) {
    await breathe()
    encoder.quantise(tileOf(w, 0, col, w.rows, encoder.tileCols), 0, col)
    ctx.onProgress?.({ event: 'columns-end', done: Math.min(w.cols, col + encoder.tileCols), total: w.cols })
  }
  return encoder.finish()
}

/** Counts the tiles that came in, so that a matrix with holes is never stored. */
export function tileCounter(codec: string, [rows, cols]: MatrixShape) {
  let weights = 0
  return {
    add(block: Matrix, row: number, col: number): void {
      if (row + block.rows > rows || col + block.cols > cols) {
        throw new ReallmError(
          'bad-option',
          `${codec} ${shapeText([rows, cols])}: a block of ${shapeText([block.rows, block.cols])} at [${row}, ${col}] lies outside`,
        )
      }
      weights += block.data.length
    },
    finish(): void {
      if (weights < rows * cols) {
        throw new ReallmError(
          'bad-option',
          `${codec} ${shapeText([rows, cols])}: only ${weights} of ${rows * cols} weights were quantised`,
          { hint: 'hand in every tile of every column block before finish()' },
        )
      }
    },
  }
}
