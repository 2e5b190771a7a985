import { matmul } from '@reallm/kernels'
import { defineCodec, type GivenOf } from '@reallm/tensor-io'
import { readRom, romLayout, romRankOf } from '@reallm/tensor-io/layouts'
import { storeLowRank } from '../low-precision.ts'
import { metricOf } from '../metric.ts'
import { rom as reduce } from './rom.ts'

/** Parameters of the codec `rom`. */
export type RomParams = GivenOf<typeof romLayout>

/**
 * LLM-ROM (arXiv 2312.07046): two layers instead of one, from the covariance of the outputs.
 *
 * @example
 * const stored = await romCodec.encode(w, { share: 0.5 }, { hessian, seed: 1 })
 */
export const romCodec = defineCodec({
  layout: romLayout,
  async encode(w, p, { hessian }) {
    const rank = romRankOf([w.rows, w.cols], p)
    const factors = reduce(w, rank, metricOf({ hessian }))
    return { parts: storeLowRank(factors, p.bits).parts, params: { ...p, rank } }
  },
  decode(e) {
    const { left, right } = readRom(e)
    return matmul(left, right)
  },
})
