import { matmul } from '@reallm/kernels'
import { defineCodec, type EncodedMatrix, type MatrixCodec } from '@reallm/tensor-io'
import * as z from 'zod'
import { FACTOR_A, FACTOR_B } from '../low-precision.ts'
import type { LowRank } from '../low-rank.ts'
import { metricOf } from '../metric.ts'
import { checkRank } from '../randomized-svd.ts'
import { factorCost, loadFactor } from '../store-factor.ts'
import { lplr as factorise, lplrFormats } from './lplr.ts'

const params = z.strictObject({
  rank: z.int().min(1).describe('columns of L and rows of R'),
  leftBits: z.int().min(1).max(16).default(8).describe('bits of an entry of L: 1 to 8, or 16'),
  rightBits: z.int().min(1).max(16).default(8).describe('bits of an entry of R: 1 to 8, or 16'),
  sketch: z
    .enum(['gaussian', 'svd'])
    .default('gaussian')
    .describe('what L is quantised from: LPLR or LPLR-SVD'),
  rounding: z.enum(['dithered', 'nearest']).default('dithered'),
  weighting: z
    .enum(['full', 'diagonal', 'none'])
    .default('full')
    .describe('how much of the second moments the error is measured by'),
})

export type LplrParams = z.input<typeof params>

/**
 * LPLR and LPLR-SVD (arXiv 2310.11028): `W ≈ L R` with both factors on few bits.
 *
 * @example
 * const stored = await lplrCodec.encode(w, { rank: 64, leftBits: 4, rightBits: 4 }, { seed: 1 })
 */
export const lplrCodec: MatrixCodec<LplrParams> = defineCodec({
  name: 'lplr',
  params,
  cost([rows, cols], { rank, leftBits, rightBits }) {
    checkRank(rank, rows, cols)
    const formats = lplrFormats(leftBits, rightBits)
    return {
      ...factorCost(FACTOR_A, rank, cols, formats.right),
      ...factorCost(FACTOR_B, rows, rank, formats.left),
    }
  },
  async encode(w, { rank, weighting, ...options }, ctx) {
    const metric = metricOf(ctx, weighting)
    return { parts: factorise(w, rank, { ...options, metric, seed: ctx.seed }).parts }
  },
  decode(e) {
    const { left, right } = factorsOf(e)
    return matmul(left, right)
  },
})

/** The factors of a matrix that `lplrCodec` stored; `applyLowRank` multiplies by them. */
export function lplrFactorsOf(e: EncodedMatrix): LowRank {
  return factorsOf({ ...e, params: params.parse(e.params) })
}

function factorsOf({
  parts,
  shape: [rows, cols],
  params: p,
}: EncodedMatrix<z.output<typeof params>>): LowRank {
  const formats = lplrFormats(p.leftBits, p.rightBits)
  return {
    left: loadFactor(FACTOR_B, parts, rows, p.rank, formats.left),
    right: loadFactor(FACTOR_A, parts, p.rank, cols, formats.right),
  }
}
