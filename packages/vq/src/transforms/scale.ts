import {
  type CodecWrapper,
  defineCodec,
  type EncodeContext,
  type EncodedMatrix,
  e4m3ToF32,
  f32ToE4m3,
  type Matrix,
  type MatrixCodec,
  type Tensor,
  tensor,
} from '@reallm/tensor-io'
import * as z from 'zod'

export interface ScalingOptions {
  /** A scale for each row; true by default. */
  readonly rows?: boolean
  /** A scale for each column; true by default. */
  readonly cols?: boolean
}

export type ScaledParams<Inner> = ScalingOptions & { readonly inner: Inner }

type Full<Inner> = Required<ScalingOptions> & { inner: Inner }

const NAME = 'scaling'

/** Sinkhorn passes over rows and columns. */
const PASSES = 4
/** Bounds of a scale over the geometric mean: the range of e4m3's normal numbers. */
const LEAST = 2 ** -6
const MOST = 2 ** 8

/**
 * Divides rows and columns by scales before the inner codec, so that all have about the same norm, and multiplies after it:
 * `W = R W' C`, `H' = C H C`, `H_out' = R H_out R`. A code of one rate makes the same error in every row. Under error feedback
 * its cost is proportional to the mean of the squared norms, with scales to their geometric mean, which is smaller where
 * norms differ. Scales are stored in 8 bits (e4m3), and W is divided by the stored values, so their rounding costs nothing.
 * `options` become the parameters' defaults.
 *
 * @example
 * const stored = await scaled(rotated(withFeedback(trellis)), { cols: false }).encode(w, { inner: { inner: { bits: 3 } } }, { hessian, outputHessian, seed: 1 })
 */
export function scaled<Inner>(
  codec: MatrixCodec<Inner>,
  options: ScalingOptions = {},
): MatrixCodec<ScaledParams<Inner>> {
  const params = z.strictObject({
    rows: z
      .boolean()
      .default(options.rows ?? true)
      .describe('a scale for each row'),
    cols: z
      .boolean()
      .default(options.cols ?? true)
      .describe('a scale for each column'),
    inner: codec.params,
  })
  return defineCodec<ScaledParams<Inner>, Full<Inner>>({
    name: NAME,
    params: params as unknown as z.ZodType<Full<Inner>, ScaledParams<Inner>>,
    inner: codec as MatrixCodec<never>,
    cost: (shape, sides) => ({
      ...(sides.rows && { rowScales: { dtype: 'F8_E4M3', shape: [shape[0]] } }),
      ...(sides.cols && { colScales: { dtype: 'F8_E4M3', shape: [shape[1]] } }),
    }),
    async encode(w, { inner, ...sides }, { hessian, outputHessian, ...ctx }) {
      const parts = equalise(w, sides)
      const [rows, cols] = scalesOf(parts)
      const hessians: Pick<EncodeContext, 'hessian' | 'outputHessian'> = {
        ...(hessian && { hessian: scaledBy(hessian, cols, cols) }),
        ...(outputHessian && { outputHessian: scaledBy(outputHessian, rows, rows) }),
      }
      const equalised = scaledBy(w, rows && inverses(rows), cols && inverses(cols))
      return { parts, inner: await codec.encode(equalised, inner, { ...ctx, ...hessians }) }
    },
    decode: (e, inner) => scaledBy(codec.decode(inner), ...scalesOf(e.parts)),
    ...(codec.decodeRows && {
      decodeRows(e, inner, from, to) {
        const [rows, cols] = scalesOf(e.parts)
        return scaledBy(codec.decodeRows!(inner, from, to), rows?.subarray(from, to), cols)
      },
    }),
  })
}

/** `scaled` for the registry: decodes what any of them stored. */
export const scaling: CodecWrapper = { name: NAME, wrap: codec => scaled(codec) }

type Scales = readonly [rows: Float32Array | undefined, cols: Float32Array | undefined]

function scalesOf({ rowScales, colScales }: EncodedMatrix['parts']): Scales {
  const values = (part: Tensor | undefined) => part && e4m3ToF32(part.data as Uint8Array)
  return [values(rowScales), values(colScales)]
}

/** The stored scales: by turns, row norms after the column scales are divided out, and the reverse. */
function equalise(w: Matrix, sides: Required<ScalingOptions>): Record<string, Tensor> {
  let rows: Float32Array | undefined
  let cols: Float32Array | undefined
  for (let pass = 0; pass < (sides.rows && sides.cols ? PASSES : 1); pass++) {
    if (sides.rows) rows = relative(meanSquares(w, cols, 'rows'))
    if (sides.cols) cols = relative(meanSquares(w, rows, 'cols'))
  }
  const stored = (scales: Float32Array) => tensor('F8_E4M3', [scales.length], f32ToE4m3(scales))
  return { ...(rows && { rowScales: stored(rows) }), ...(cols && { colScales: stored(cols) }) }
}

/** Mean square of each row or column after the other side's scales are divided out. */
function meanSquares(w: Matrix, others: Float32Array | undefined, side: 'rows' | 'cols'): Float64Array {
  const sums = new Float64Array(w[side])
  const count = w.data.length / sums.length
  const factors = others?.map(s => 1 / (s * s * count)) ?? new Float32Array(count).fill(1 / count)
  for (let r = 0, i = 0; r < w.rows; r++) {
    for (let c = 0; c < w.cols; c++, i++) {
      const square = w.data[i] * w.data[i]
      if (side === 'rows') sums[r] += square * factors[c]
      else sums[c] += square * factors[r]
    }
  }
  return sums
}

/** Roots of mean squares over their geometric mean, within the stored range; 1 for a row or column of zeros. */
function relative(squares: Float64Array): Float32Array {
  const logs = Float64Array.from(squares, Math.log2).filter(Number.isFinite)
  const middle = logs.reduce((sum, v) => sum + v, 0) / Math.max(1, logs.length)
  return Float32Array.from(squares, square =>
    square > 0 ? Math.min(MOST, Math.max(LEAST, 2 ** ((Math.log2(square) - middle) / 2))) : 1,
  )
}

const inverses = (scales: Float32Array): Float32Array => scales.map(s => 1 / s)

/** `diag(rows) M diag(cols)`; a side without scales is unchanged. */
function scaledBy(m: Matrix, rows: Float32Array | undefined, cols: Float32Array | undefined): Matrix {
  const data = new Float32Array(m.data.length)
  for (let r = 0, i = 0; r < m.rows; r++) {
    const factor = rows ? rows[r] : 1
    for (let c = 0; c < m.cols; c++, i++) data[i] = m.data[i] * factor * (cols ? cols[c] : 1)
  }
  return { rows: m.rows, cols: m.cols, data }
}
