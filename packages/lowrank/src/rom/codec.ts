import { matmul } from '@reallm/kernels'
import { defineCodec, type MatrixCodec, type MatrixShape } from '@reallm/tensor-io'
import * as z from 'zod'
import { loadLowRank, lowRankCost, storeLowRank } from '../low-precision.ts'
import { metricOf } from '../metric.ts'
import { checkRank } from '../randomized-svd.ts'
import { rom as reduce, romRank } from './rom.ts'

const params = z.strictObject({
  rank: z.int().min(1).optional().describe('dimensions that are kept; by default as many as `share` allows'),
  share: z.number().gt(0).max(1).default(0.5).describe('parameters of both layers over those of the matrix'),
  bits: z.int().min(1).max(16).default(16).describe('bits of each factor entry: 1 to 8, or 16'),
})

export type RomParams = z.input<typeof params>

/**
 * LLM-ROM (arXiv 2312.07046): two layers in the place of one, found from the outputs' second moment.
 *
 * @example
 * const stored = await romCodec.encode(w, { share: 0.5 }, { hessian, seed: 1 })
 */
export const romCodec: MatrixCodec<RomParams> = defineCodec({
  name: 'rom',
  params,
  cost: (shape, p) => lowRankCost(shape[0], shape[1], rankOf(shape, p), p.bits),
  async encode(w, p, { hessian }) {
    const rank = rankOf([w.rows, w.cols], p)
    const factors = reduce(w, rank, metricOf({ ...(hessian && { hessian }) }))
    return { parts: storeLowRank(factors, p.bits).parts, params: { ...p, rank } }
  },
  decode({ parts, shape, params: p }) {
    const { left, right } = loadLowRank(parts, shape[0], shape[1], rankOf(shape, p), p.bits)
    return matmul(left, right)
  },
})

function rankOf(shape: MatrixShape, { rank, share }: z.output<typeof params>): number {
  if (rank !== undefined) checkRank(rank, shape[0], shape[1])
  return rank ?? romRank(shape, share)
}
