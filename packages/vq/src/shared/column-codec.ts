import {
  breather,
  type ColumnCodec,
  type ColumnContext,
  type ColumnEncoder,
  checkHessian,
  checkParts,
  checkRows,
  checkShape,
  checkWeights,
  type EncodeContext,
  type EncodedMatrix,
  type Fields,
  type FullParams,
  type GivenParams,
  type Matrix,
  type MatrixShape,
  parseParams,
  ReallmError,
  type RowBands,
  type StorageCost,
  type StoredLayout,
  shapeText,
  throwIfAborted,
  tileOf,
} from '@reallm/tensor-io'

/** Definition of a column codec. */
export interface ColumnCodecSpec<F extends Fields> {
  readonly layout: StoredLayout<F>
  columns(w: Matrix, params: FullParams<F>, ctx: ColumnContext): Promise<ColumnEncoder>
  /** Replaces quantising all columns in order, for codecs that encode better when they see the whole matrix. */
  encode?(w: Matrix, params: FullParams<F>, ctx: EncodeContext): Promise<EncodedMatrix>
  /** Rows `from` to `to` of a stored matrix that has been checked against the layout. */
  decodeRows(e: EncodedMatrix<FullParams<F>>, from: number, to: number): Matrix
  /** Where rows do not depend on each other. */
  readonly bands?: RowBands<FullParams<F>>
}

/** A column codec whose rows can be decoded one by one. */
export type RowColumnCodec<Params> = ColumnCodec<Params> & Required<Pick<ColumnCodec<Params>, 'decodeRows'>>

/** Makes a codec of its layout and its arithmetic: parses parameters, checks weights, Hessian and stored parts. */
export function columnCodec<F extends Fields>(spec: ColumnCodecSpec<F>): RowColumnCodec<GivenParams<F>> {
  const { layout, bands } = spec
  const parse = (given: unknown) => parseParams(layout, given)

  function cost(shape: MatrixShape, params: FullParams<F>): StorageCost {
    checkShape(shape)
    return layout.parts(shape, params)
  }

  function checked(w: Matrix, given: unknown, ctx: EncodeContext): FullParams<F> {
    throwIfAborted(ctx.signal)
    const params = parse(given)
    cost([w.rows, w.cols], params)
    checkHessian(ctx.hessian, w.cols)
    checkWeights(w)
    return params
  }

  function decodeRows(e: EncodedMatrix, from: number, to: number): Matrix {
    const stored = checkParts(layout, e)
    checkRows(e.shape, from, to)
    return spec.decodeRows(stored, from, to)
  }

  return {
    name: layout.codec,
    layout,
    parse,
    cost: (shape, given) => cost(shape, parse(given)),
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
    ...(bands && { bands: { ...bands, rows: given => bands.rows(parse(given)) } }),
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
