import type { ZodType } from 'zod'
import { checkHessian, checkShape, checkWeights, parseParams, shapeText } from '../core/check.ts'
import { ReallmError } from '../core/errors.ts'
import { throwIfAborted } from '../core/progress.ts'
import type { Matrix, MatrixShape } from '../core/tensor.ts'
import { checkParts } from './check-parts.ts'
import {
  type EncodeContext,
  type EncodedMatrix,
  type MatrixCodec,
  prefixed,
  type StorageCost,
} from './codec.ts'

type Encoding<Full> = Pick<EncodedMatrix, 'parts' | 'inner'> & Partial<Pick<EncodedMatrix<Full>, 'params'>>

/** What a codec is made of; `Full` are its parameters with the defaults filled in. */
export interface CodecSpec<Params, Full extends Params> {
  readonly name: string
  readonly params: ZodType<Full, Params>
  /** Its own tensors, without a wrapped codec's. Throws `bad-option` when the shape does not fit. */
  cost(shape: MatrixShape, params: Full): StorageCost
  /** A wrapper's codec; its parameters are `params.inner`. */
  readonly inner?: MatrixCodec<never>
  /** Parts and wrapped matrix; `params` where encoding settles some that were left open. */
  encode(w: Matrix, params: Full, ctx: EncodeContext): Promise<Encoding<Full>>
  /** `e` has been checked: parameters complete, own parts as `cost` names them, `inner` there if there is a codec. */
  decode(e: EncodedMatrix<Full>, inner: EncodedMatrix<never>): Matrix
  /** Rows `from` to `to` without the others; `undefined` where these parameters don't allow it: all are decoded. */
  decodeRows?(
    e: EncodedMatrix<Full>,
    inner: EncodedMatrix<never>,
    from: number,
    to: number,
  ): Matrix | undefined
}

/**
 * Makes a codec out of its definition: fills in parameters, checks weights, moments and stored parts, and adds up a
 * wrapped codec's cost.
 */
export function defineCodec<Params, Full extends Params>(spec: CodecSpec<Params, Full>): MatrixCodec<Params> {
  /** Matrices whose rows can't be decoded alone, for callers who go through them row by row. */
  const wholes = new WeakMap<EncodedMatrix, Matrix>()
  const parse = (params: unknown): Full => parseParams(spec.name, spec.params, params)

  function ownCost(shape: MatrixShape, params: Full): StorageCost {
    checkShape(shape)
    return spec.cost(shape, params)
  }

  function cost(shape: MatrixShape, params: Full): StorageCost {
    const own = ownCost(shape, params)
    if (!spec.inner) return own
    return { ...own, ...prefixed(spec.inner.cost(shape, (params as { inner: never }).inner)) }
  }

  function opened(e: EncodedMatrix) {
    const params = parse(e.params)
    checkParts(e, ownCost(e.shape, params))
    if (spec.inner && !e.inner) {
      throw new ReallmError('bad-file', `${spec.name} ${shapeText(e.shape)}: the wrapped matrix is missing`)
    }
    return { stored: { ...e, params }, inner: e.inner as EncodedMatrix<never> }
  }

  function decodeRows(e: EncodedMatrix, from: number, to: number): Matrix {
    const { stored, inner } = opened(e)
    if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= e.shape[0])) {
      throw new ReallmError('bad-option', `${spec.name} ${shapeText(e.shape)} has no rows ${from} to ${to}`)
    }
    const rows = spec.decodeRows?.(stored, inner, from, to)
    if (rows) return rows
    const whole = wholes.get(e) ?? spec.decode(stored, inner)
    wholes.set(e, whole)
    return {
      rows: to - from,
      cols: whole.cols,
      data: whole.data.slice(from * whole.cols, to * whole.cols),
    }
  }

  return {
    name: spec.name,
    params: spec.params,
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
      return { codec: spec.name, params, shape, ...encoding }
    },
    decode(e) {
      const { stored, inner } = opened(e)
      return spec.decode(stored, inner)
    },
    ...(spec.decodeRows && { decodeRows }),
  }
}
