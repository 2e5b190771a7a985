import { checkHessian, checkRows, checkShape, checkWeights } from '../core/check.ts'
import { throwIfAborted } from '../core/progress.ts'
import type { Matrix, MatrixShape } from '../core/tensor.ts'
import type { EncodeContext, MatrixCodec } from './codec.ts'
import { type EncodedMatrix, prefixed, type StorageCost } from './encoded-matrix.ts'
import type { Fields, FullParams, GivenParams } from './field.ts'
import { checkParts, parseParams, type StoredLayout } from './layout.ts'

type Encoding<Full> = Pick<EncodedMatrix, 'parts' | 'inner'> & Partial<Pick<EncodedMatrix<Full>, 'params'>>

/** What a codec is made of. */
export interface CodecSpec<F extends Fields, Full = FullParams<F>> {
  readonly layout: StoredLayout<F>
  /** Parts and wrapped matrix; `params` where encoding settles some that were left open. */
  encode(w: Matrix, params: Full, ctx: EncodeContext): Promise<Encoding<Full>>
  /** `e` has been checked against the layout. */
  decode(e: EncodedMatrix<Full>, inner: EncodedMatrix): Matrix
  /** Rows `from` to `to` without the others; `undefined` where these parameters don't allow it: all are decoded. */
  decodeRows?(e: EncodedMatrix<Full>, inner: EncodedMatrix, from: number, to: number): Matrix | undefined
}

/** What a codec that wraps another is made of; the wrapped one's parameters are `params.inner`. */
export interface WrapperSpec<F extends Fields, Inner> extends CodecSpec<F, FullParams<F> & { inner: Inner }> {
  readonly inner: MatrixCodec<Inner>
}

/**
 * Makes a codec out of its layout and its arithmetic: fills in parameters, checks weights, Hessians and stored parts, and
 * adds up a wrapped codec's cost.
 */
export function defineCodec<F extends Fields, Inner>(
  spec: WrapperSpec<F, Inner>,
): MatrixCodec<GivenParams<NoInfer<F>> & { readonly inner: Inner }>
export function defineCodec<F extends Fields>(spec: CodecSpec<F>): MatrixCodec<GivenParams<NoInfer<F>>>
export function defineCodec<F extends Fields>(
  spec: CodecSpec<F> & { readonly inner?: MatrixCodec },
): MatrixCodec<GivenParams<F>> {
  const { layout } = spec
  /** Matrices whose rows can't be decoded alone, for callers who go through them row by row. */
  const wholes = new WeakMap<EncodedMatrix, Matrix>()

  function parse(given: unknown): FullParams<F> {
    const params = parseParams(layout, given)
    if (!spec.inner) return params
    return { ...params, inner: spec.inner.parse((params as Partial<Wrapped>).inner) }
  }

  function cost(shape: MatrixShape, params: FullParams<F>): StorageCost {
    checkShape(shape)
    const own = layout.parts(shape, params)
    if (!spec.inner) return own
    return { ...own, ...prefixed(spec.inner.cost(shape, (params as FullParams<F> & Wrapped).inner)) }
  }

  function decodeRows(e: EncodedMatrix, from: number, to: number): Matrix {
    const stored = checkParts(layout, e)
    checkRows(e.shape, from, to)
    const rows = spec.decodeRows?.(stored, e.inner as EncodedMatrix, from, to)
    if (rows) return rows
    const whole = wholes.get(e) ?? spec.decode(stored, e.inner as EncodedMatrix)
    wholes.set(e, whole)
    return {
      rows: to - from,
      cols: whole.cols,
      data: whole.data.slice(from * whole.cols, to * whole.cols),
    }
  }

  return {
    name: layout.codec,
    layout,
    parse,
    cost: (shape, params) => cost(shape, parse(params)),
    async encode(w, given, ctx) {
      throwIfAborted(ctx.signal)
      const params = parse(given)
      const shape: MatrixShape = [w.rows, w.cols]
      cost(shape, params)
      checkHessian(ctx.hessian, w.cols)
      checkWeights(w)
      const encoding = await spec.encode(w, params, ctx)
      if (!spec.inner) ctx.onProgress?.({ event: 'columns-end', done: w.cols, total: w.cols })
      return { codec: layout.codec, params, shape, ...encoding }
    },
    decode: e => spec.decode(checkParts(layout, e), e.inner as EncodedMatrix),
    ...(spec.decodeRows && { decodeRows }),
  }
}

interface Wrapped {
  readonly inner: unknown
}
