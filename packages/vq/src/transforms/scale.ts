import {
  type CodecWrapper,
  defineCodec,
  f32ToE4m3,
  type GivenOf,
  type Matrix,
  type MatrixCodec,
  type ParamsOf,
  type Tensor,
  tensor,
  withDefaults,
} from '@reallm/tensor-io'
import { readScaling, scalingLayout } from '@reallm/tensor-io/layouts'

/** Options of `scaled`. */
export type ScalingOptions = GivenOf<typeof scalingLayout>
/** Parameters of a scaled codec. */
export type ScaledParams<Inner> = ScalingOptions & { readonly inner: Inner }

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
  const layout = withDefaults(scalingLayout, options)
  return defineCodec({
    layout,
    inner: codec,
    async encode(w, { inner, ...sides }, { hessian, outputHessian, ...ctx }) {
      const parts = equalise(w, sides)
      const [rows, cols] = readScaling({ parts })
      const equalised = scaledBy(w, rows && inverses(rows), cols && inverses(cols))
      const context = {
        ...ctx,
        // What is not scaled stays the same matrix, whose factor is known by it.
        hessian: hessian && cols ? scaledBy(hessian, cols, cols) : hessian,
        outputHessian: outputHessian && rows ? scaledBy(outputHessian, rows, rows) : outputHessian,
      }
      return { parts, inner: await codec.encode(equalised, inner, context) }
    },
    decode: (e, inner) => scaledBy(codec.decode(inner), ...readScaling(e)),
    decodeRows(e, inner, from, to) {
      const part = codec.decodeRows?.(inner, from, to)
      const [rows, cols] = readScaling(e)
      return part && scaledBy(part, rows?.subarray(from, to), cols)
    },
  })
}

/** `scaled` for the registry: decodes what any of them stored. */
export const scaling: CodecWrapper = { layout: scalingLayout, wrap: codec => scaled(codec) }

/** The scales to store: row norms after dividing by the column scales, alternating with the reverse. */
function equalise(w: Matrix, sides: ParamsOf<typeof scalingLayout>): Record<string, Tensor> {
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
