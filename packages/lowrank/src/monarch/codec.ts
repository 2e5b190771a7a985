import {
  type CodecWrapper,
  checkParts,
  defineCodec,
  type EncodeContext,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  type MatrixCodec,
  type Tensor,
  withDefaults,
} from '@reallm/tensor-io'
import {
  blocksOf,
  MONARCH_LEFT,
  MONARCH_RIGHT,
  type Monarch,
  type MonarchStructure,
  monarchFormat,
  monarchLayout,
  monarchResidualLayout,
  readMonarch,
} from '@reallm/tensor-io/layouts'
import { alternate } from '../alternate.ts'
import { difference, metricOf } from '../metric.ts'
import { storeFactor } from '../store-factor.ts'
import { monarchToDense, monarch as project } from './monarch.ts'

/** Parameters of the codec `monarch`. */
export type MonarchParams = GivenOf<typeof monarchLayout>

/**
 * The nearest Monarch matrix (arXiv 2204.00595), or rank-t Monarch for `rank` > 1.
 *
 * @example
 * const stored = await monarchCodec.encode(w, { rank: 2, bits: 8 }, { hessian, seed: 1 })
 * const y = applyMonarch(monarchOf(stored), x)
 */
export const monarchCodec = defineCodec({
  layout: monarchLayout,
  async encode(w, p, ctx) {
    return {
      parts: storeMonarch(projected(w, p, ctx), p.bits),
      params: { ...p, ...blocksOf([w.rows, w.cols], p) },
    }
  },
  decode: e => monarchToDense(readMonarch(e)),
})

/** The structure of a matrix that `monarchCodec` or `plusMonarch` stored, to multiply by with `applyMonarch`. */
export const monarchOf = (e: EncodedMatrix): Monarch =>
  readMonarch(
    e.codec === monarchLayout.codec ? checkParts(monarchLayout, e) : checkParts(monarchResidualLayout, e),
  )

/** Options of `plusMonarch`. */
export type PlusMonarchOptions = GivenOf<typeof monarchResidualLayout>
/** Parameters of a codec with a Monarch matrix beside it. */
export type PlusMonarchParams<Inner> = PlusMonarchOptions & { readonly inner: Inner }

/**
 * `W ≈ D_φ(E) ⊙ S + M` with a Monarch matrix instead of `L₁L₂`. `options` are the parameters' defaults.
 *
 * @example
 * const codec = plusMonarch({ bits: 8 }, grid)
 */
export function plusMonarch<Inner>(
  options: PlusMonarchOptions,
  codec: MatrixCodec<Inner>,
): MatrixCodec<PlusMonarchParams<Inner>> {
  const layout = withDefaults(monarchResidualLayout, options)
  return defineCodec({
    layout,
    inner: codec,
    async encode(w, p, ctx) {
      const metric = metricOf(ctx)
      const { part, quantised } = await alternate(w, {
        ...p,
        ...ctx,
        metric,
        fit(residual) {
          const parts = storeMonarch(projected(residual, p, ctx), p.bits)
          const product = monarchToDense(readMonarch({ parts, shape: [w.rows, w.cols], params: p }))
          return { parts, product, error: metric.norm(difference(residual, product)) }
        },
        async quantise(residual) {
          const stored = await codec.encode(residual, p.inner, ctx)
          return { stored, decoded: codec.decode(stored) }
        },
      })
      return {
        parts: part.parts,
        inner: quantised.stored,
        params: { ...p, ...blocksOf([w.rows, w.cols], p) },
      }
    },
    decode(e, inner) {
      const w = codec.decode(inner)
      const { data } = monarchToDense(readMonarch(e))
      return { ...w, data: w.data.map((value, i) => value + data[i]) }
    },
  })
}

/** `plusMonarch` for the registry: decodes what any of them stored. */
export const monarchResidual: CodecWrapper = {
  layout: monarchResidualLayout,
  wrap: codec => plusMonarch({}, codec),
}

function storeMonarch({ left, right }: Monarch, bits: number): Record<string, Tensor> {
  const format = monarchFormat(bits)
  return { ...storeFactor(MONARCH_LEFT, left, format), ...storeFactor(MONARCH_RIGHT, right, format) }
}

function projected(w: Matrix, p: MonarchStructure, { hessian, outputHessian, seed }: EncodeContext): Monarch {
  return project(w, { ...blocksOf([w.rows, w.cols], p), hessian, outputHessian, seed })
}
