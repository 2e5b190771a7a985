import {
  type CodecWrapper,
  defineCodec,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
} from '@reallm/tensor-io'
import * as z from 'zod'
import { alternate } from '../alternate.ts'
import { difference, metricOf } from '../metric.ts'
import { type Monarch, monarchToDense, monarch as project } from './monarch.ts'
import {
  blocksOf,
  loadMonarch,
  type MonarchStorage,
  monarchCost,
  monarchShape,
  storeMonarch,
} from './stored.ts'

const params = z.strictObject(monarchShape)

export type MonarchParams = z.input<typeof params>

/**
 * The nearest Monarch matrix (arXiv 2204.00595), or rank-t Monarch for `rank` > 1.
 *
 * @example
 * const stored = await monarchCodec.encode(w, { rank: 2, bits: 8 }, { hessian, seed: 1 })
 * const y = applyMonarch(monarchOf(stored), x)
 */
export const monarchCodec: MatrixCodec<MonarchParams> = defineCodec({
  name: 'monarch',
  params,
  cost: monarchCost,
  async encode(w, p, ctx) {
    return {
      parts: storeMonarch(projected(w, p, ctx), p),
      params: { ...p, ...blocksOf([w.rows, w.cols], p) },
    }
  },
  decode: e => monarchToDense(loadMonarch(e.parts, e.shape, e.params)),
})

/** The structure of a matrix that `monarchCodec` or `plusMonarch` stored, to multiply by with `applyMonarch`. */
export function monarchOf(e: EncodedMatrix): Monarch {
  return loadMonarch(e.parts, e.shape, z.object(monarchShape).parse(e.params))
}

const residualShape = {
  ...monarchShape,
  bits: monarchShape.bits.default(8),
  rounds: z.int().min(1).max(100).default(10).describe('most rounds of the alternation'),
  tolerance: z
    .number()
    .min(0)
    .default(5e-3)
    .describe('stop when a round lowers the squared error by less than this share'),
}

export type PlusMonarchOptions = z.input<z.ZodObject<typeof residualShape>>
export type PlusMonarchParams<Inner> = PlusMonarchOptions & { readonly inner: Inner }
type Full<Inner> = MonarchStorage & { rounds: number; tolerance: number; inner: Inner }

const RESIDUAL = 'monarch-residual'

/**
 * `W ≈ D_φ(E) ⊙ S + M` with a Monarch matrix in the place of `L₁L₂`. `options` are the parameters' defaults.
 *
 * @example
 * const codec = plusMonarch({ bits: 8 }, grid)
 */
export function plusMonarch<Inner>(
  options: PlusMonarchOptions,
  codec: MatrixCodec<Inner>,
): MatrixCodec<PlusMonarchParams<Inner>> {
  const shape = z.strictObject({ ...residualShape, inner: codec.params })
  return defineCodec<PlusMonarchParams<Inner>, Full<Inner>>({
    name: RESIDUAL,
    params: z.preprocess(given => ({ ...options, ...(given as object) }), shape) as unknown as z.ZodType<
      Full<Inner>,
      PlusMonarchParams<Inner>
    >,
    inner: codec as MatrixCodec<never>,
    cost: monarchCost,
    async encode(w, p, ctx) {
      const metric = metricOf(ctx)
      const { part, quantised } = await alternate(w, {
        ...p,
        ...ctx,
        metric,
        fit(residual) {
          const parts = storeMonarch(projected(residual, p, ctx), p)
          const product = monarchToDense(loadMonarch(parts, [w.rows, w.cols], p))
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
      const { data } = monarchToDense(loadMonarch(e.parts, e.shape, e.params))
      return { ...w, data: w.data.map((value, i) => value + data[i]) }
    },
  })
}

/** `plusMonarch` for the registry. */
export const monarchResidual: CodecWrapper = { name: RESIDUAL, wrap: codec => plusMonarch({}, codec) }

function projected(w: Matrix, p: MonarchStorage, { hessian, outputHessian, seed }: EncodeContext): Monarch {
  return project(w, { ...blocksOf([w.rows, w.cols], p), hessian, outputHessian, seed })
}
