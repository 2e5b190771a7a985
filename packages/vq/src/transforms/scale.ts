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
import { DAMPING, OUTPUT_DAMPING } from './feedback/index.ts'

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
 * Divides rows and columns by scales before the inner codec, and multiplies after it: `W = R W' C`, `H' = C H C`, `H_out' = R H_out R`.
 * A code of one rate makes the same error everywhere. Under error feedback its cost is proportional to the mean of the squared norms,
 * with scales that make all columns of the same norm to their geometric mean, which is smaller where norms differ. Rows become of the same
 * norm too, except under `H_out`: it is damped so much that little is fed back, and the cost of an error, Σ h r² · mean(v / r²) of rows
 * with mean squares v and diagonal h, is smallest at r² = √(v / h). `H` is damped before it is scaled: the same added to every column of
 * `H'` would blur those with small scales. Scales are stored in 8 bits (e4m3), and W is divided by the stored values, so their rounding costs
 * nothing. `options` become the parameters' defaults.
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
      const parts = equalise(w, sides, outputHessian)
      const [rows, cols] = readScaling({ parts })
      const equalised = scaledBy(w, rows && inverses(rows), cols && inverses(cols))
      const byInputs = hessian && cols && scaledHessian(hessian, cols, ctx.isDamped ? 0 : DAMPING)
      const context = {
        ...ctx,
        // What is not scaled stays the same matrix, whose factor is known by it.
        hessian: byInputs ?? hessian,
        isDamped: ctx.isDamped || byInputs !== undefined,
        outputHessian: outputHessian && rows ? scaledBy(outputHessian, rows, rows) : outputHessian,
        onHessianRead() {
          if (byInputs) byInputs.data = new Float32Array(0)
          ctx.onHessianRead?.()
        },
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

/** The scales to store: those of rows after dividing by the column scales, alternating with the reverse. */
function equalise(
  w: Matrix,
  sides: ParamsOf<typeof scalingLayout>,
  outputHessian: Matrix | undefined,
): Record<string, Tensor> {
  const costs = outputHessian && dampedDiagonal(outputHessian, OUTPUT_DAMPING)
  const ofRows = (squares: Float64Array) => (costs ? squares.map((v, r) => Math.sqrt(v / costs[r])) : squares)
  let rows: Float32Array | undefined
  let cols: Float32Array | undefined
  for (let pass = 0; pass < (sides.rows && sides.cols ? PASSES : 1); pass++) {
    if (sides.rows) rows = relative(ofRows(meanSquares(w, cols, 'rows')))
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

/** Roots of squares over their geometric mean, within the stored range; 1 for a row or column of zeros. */
function relative(squares: Float64Array): Float32Array {
  const logs = Float64Array.from(squares, Math.log2).filter(Number.isFinite)
  const middle = logs.reduce((sum, v) => sum + v, 0) / Math.max(1, logs.length)
  return Float32Array.from(squares, square =>
    square > 0 ? Math.min(MOST, Math.max(LEAST, 2 ** ((Math.log2(square) - middle) / 2))) : 1,
  )
}

/** `C (H + damping · mean(diag H) · I) C` */
function scaledHessian(hessian: Matrix, cols: Float32Array, damping: number) {
  const scaled: { -readonly [Key in keyof Matrix]: Matrix[Key] } = scaledBy(hessian, cols, cols)
  const diagonal = dampedDiagonal(hessian, damping)
  for (const [i, scale] of cols.entries()) scaled.data[i * hessian.cols + i] = diagonal[i] * scale ** 2
  return scaled
}

/** The diagonal, a share of its mean added. */
function dampedDiagonal({ cols, data }: Matrix, damping: number): Float64Array {
  const diagonal = Float64Array.from({ length: cols }, (_, i) => data[i * cols + i])
  const mean = diagonal.reduce((sum, v) => sum + v, 0) / cols
  return diagonal.map(v => v + damping * mean)
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
