import { checkShape, shapeText } from '../core/check.ts'
import { byteLength } from '../core/dtype.ts'
import { ReallmError } from '../core/errors.ts'
import { type MatrixShape, sizeOf, type Tensor } from '../core/tensor.ts'
import { altered } from './altered.ts'
import type { EncodedMatrix, StorageCost } from './encoded-matrix.ts'
import { allows, type Fields, type FullParams, type GivenParams, wordsOf } from './field.ts'

/**
 * How a codec stores a matrix: what its encoder writes, its decoder reads, and a runtime runs.
 *
 * @example
 * const params = { scale: { of: ['f16', 'f32'], default: 'f16' } } as const satisfies Fields
 * const signs: StoredLayout<typeof params> = {
 *   codec: 'signs',
 *   params,
 *   parts: ([rows, cols], { scale }) => ({
 *     codes: { dtype: 'U8', shape: [rows, packedBytes(cols, 1)] },
 *     scales: { dtype: scale === 'f16' ? 'F16' : 'F32', shape: [rows] },
 *   }),
 * }
 */
export interface StoredLayout<F extends Fields = Fields> {
  /** The codec's name, as artifacts carry it. */
  readonly codec: string
  /** Its parameters; they are stored in this order. A wrapper's `inner` are the wrapped codec's and not listed. */
  readonly params: F
  /** Parameters that older artifacts hold, each with the only value that is still read. */
  readonly retired?: Readonly<Record<string, unknown>>
  /** Whether it wraps the matrix of another codec. */
  readonly wraps?: boolean
  /**
   * dtype and shape of every tensor of its own, a wrapped codec's not counted. Allocates nothing by the sizes of a shape, which
   * may come from a damaged file. Throws `bad-option` where parameters do not fit each other or the shape.
   */
  parts(shape: MatrixShape, params: FullParams<F>): StorageCost
}

/** The parameters of a layout with the defaults filled in. */
export type ParamsOf<L> = L extends StoredLayout<infer F> ? FullParams<F> : never
/** The parameters of a layout as a caller gives them. */
export type GivenOf<L> = L extends StoredLayout<infer F> ? GivenParams<F> : never
/** A stored matrix whose parameters and parts are known to be those of a layout: see {@link checkParts}. */
export type Stored<L> = EncodedMatrix<ParamsOf<L>>

/** The same layout with other defaults for its parameters. */
export function withDefaults<F extends Fields>(
  layout: StoredLayout<F>,
  defaults: GivenParams<F>,
): StoredLayout<F> {
  const given: Readonly<Record<string, unknown>> = defaults
  const params = Object.entries(layout.params).map(([name, field]) =>
    given[name] === undefined ? [name, field] : [name, { ...field, default: given[name] }],
  )
  return { ...layout, params: Object.fromEntries(params) as F }
}

/** Parameters with defaults filled in; throws `bad-option` naming the codec, the parameter and what it may be. */
export function parseParams<F extends Fields>(layout: StoredLayout<F>, given: unknown): FullParams<F> {
  const refuse = (what: string) =>
    new ReallmError('bad-option', `${layout.codec}: ${what}`, {
      hint: `its parameters are ${[...Object.keys(layout.params), ...(layout.wraps ? ['inner'] : [])].join(', ') || 'none'}`,
    })
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw refuse(`parameters are ${brief(given)}, not an object`)
  }
  const full: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(layout.params)) {
    const own = Object.hasOwn(given, name) ? given[name as keyof typeof given] : undefined
    const value = own === undefined ? field.default : own
    if (value !== undefined) {
      if (!allows(field, value)) throw refuse(`${name} is ${brief(value)}, not ${wordsOf(field)}`)
      full[name] = value
    } else if (!field.optional) throw refuse(`${name} is missing: ${wordsOf(field)}`)
  }
  for (const [name, value] of Object.entries(given)) {
    if (layout.wraps && name === 'inner') full.inner = value
    else if (!Object.hasOwn(layout.params, name)) throw refuse(`there is no parameter ${brief(name)}`)
  }
  return full as FullParams<F>
}

/**
 * A stored matrix with its parameters complete, once it is known to be what its layout says: parameters within their bounds,
 * every part there with its dtype, shape and bytes, no other part, and a wrapped matrix of the same shape where there has to
 * be one. The wrapped matrix itself is checked by its own layout.
 *
 * @throws `bad-file` for parameters, `bad-tensor` naming the part
 */
export function checkParts<F extends Fields>(
  layout: StoredLayout<F>,
  e: EncodedMatrix,
): EncodedMatrix<FullParams<F>> {
  const where = `${layout.codec} ${shapeText(e.shape)}`
  const { params, parts } = expected(layout, e)
  for (const name of new Set([...Object.keys(parts), ...Object.keys(e.parts)])) {
    const problem = problemOf(
      Object.hasOwn(parts, name) ? parts[name] : undefined,
      Object.hasOwn(e.parts, name) ? e.parts[name] : undefined,
    )
    if (problem) throw altered(`${where}: the part ${name.slice(0, 60)} ${problem}`)
  }
  const wrapped = !e.inner
    ? layout.wraps && 'the wrapped matrix is missing'
    : !layout.wraps
      ? 'it wraps another matrix, which this codec does not'
      : String(e.inner.shape) !== String(e.shape) && `the wrapped matrix is ${shapeText(e.inner.shape)}`
  if (wrapped) throw altered(`${where}: ${wrapped}`, 'bad-file')
  return { ...e, params }
}

function expected<F extends Fields>(layout: StoredLayout<F>, e: EncodedMatrix) {
  try {
    checkShape(e.shape)
    const params = parseParams(layout, withoutRetired(layout, e.params))
    return { params, parts: layout.parts(e.shape, params) }
  } catch (cause) {
    if (!(cause instanceof ReallmError)) throw cause
    throw altered(cause.message, 'bad-file', cause)
  }
}

function withoutRetired({ retired = {} }: StoredLayout, params: unknown): unknown {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return params
  const isRetired = (name: string, value: unknown) => Object.hasOwn(retired, name) && retired[name] === value
  return Object.fromEntries(Object.entries(params).filter(entry => !isRetired(...entry)))
}

function problemOf(want: StorageCost[string] | undefined, part: Tensor | undefined): string | undefined {
  if (!want) return 'does not belong to it'
  if (!part) return 'is missing'
  const { dtype, shape } = want
  if (part.dtype !== dtype || String(part.shape) !== String(shape)) {
    return `is ${part.dtype} [${part.shape}], not ${dtype} [${shape}]`
  }
  const [bytes, needed] = [part.data.byteLength, byteLength(dtype, sizeOf(shape))]
  return bytes === needed ? undefined : `holds ${bytes} bytes, not ${needed}`
}

/** A value from a file, cut to what a message can bear. */
const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 40)
