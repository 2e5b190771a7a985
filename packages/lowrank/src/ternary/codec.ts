import { matmul } from '@reallm/kernels'
import {
  defineCodec,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  seedFor,
  tensor,
} from '@reallm/tensor-io'
import * as z from 'zod'
import type { LowRank } from '../low-rank.ts'
import { metricOf } from '../metric.ts'
import { checkRank } from '../randomized-svd.ts'
import { factorCost, loadFactor, storeFactor } from '../store-factor.ts'
import { ternary as factorise, ternaryMatrix } from './ternary.ts'

const LEFT = 'ternary_c'

const params = z.strictObject({
  rank: z.int().min(1).describe('columns of C and rows of T'),
  bits: z.int().min(1).max(16).default(8).describe('bits of an entry of C: 1 to 8, or 16; T takes none'),
  density: z.number().gt(0).max(1).default(0.1).describe('share of entries of T that are not zero'),
  weighting: z
    .enum(['full', 'diagonal', 'none'])
    .default('full')
    .describe('how much of the second moments the error is measured by'),
})

export type TernaryParams = z.input<typeof params>

/**
 * A right factor of −1, 0 and 1 that is regenerated from a stored seed of 32 bits (arXiv 2103.17142): only `C` is stored.
 *
 * @example
 * const stored = await ternaryCodec.encode(w, { rank: 128, bits: 4 }, { seed: 1 })
 */
export const ternaryCodec: MatrixCodec<TernaryParams> = defineCodec({
  name: 'ternary',
  params,
  cost([rows, cols], { rank, bits }) {
    checkRank(rank, rows, cols)
    return { ...factorCost(LEFT, rows, rank, { bits, along: 'cols' }), seed: { dtype: 'U32', shape: [1] } }
  },
  async encode(w, { rank, bits, density, weighting }, ctx) {
    const seed = seedFor(ctx.seed, 'ternary')
    const { left } = factorise(w, rank, { density, seed, metric: metricOf(ctx, weighting) })
    return {
      parts: {
        ...storeFactor(LEFT, left, { bits, along: 'cols' }),
        seed: tensor('U32', [1], Uint32Array.of(seed)),
      },
    }
  },
  decode(e) {
    const { left, right } = factorsOf(e)
    return matmul(left, right)
  },
})

/**
 * `x Wᵀ` for `x` `[n, in]`: only additions and subtractions for `x Tᵀ`, then out · rank MACs per row.
 *
 * @returns `[n, out]`
 */
export function applyTernary(e: EncodedMatrix, x: Matrix): Matrix {
  const { left, right } = factorsOf({ ...e, params: params.parse(e.params) })
  const { rows: rank, cols } = right
  const sums = { rows: x.rows, cols: rank, data: new Float32Array(x.rows * rank) }
  for (let k = 0; k < rank; k++) {
    for (let j = 0; j < cols; j++) {
      const t = right.data[k * cols + j]
      if (t === 0) continue
      for (let n = 0; n < x.rows; n++) {
        const value = x.data[n * cols + j]
        sums.data[n * rank + k] += t > 0 ? value : -value
      }
    }
  }
  return matmul(sums, left, { transposeB: true })
}

function factorsOf({
  parts,
  shape: [rows, cols],
  params: p,
}: EncodedMatrix<z.output<typeof params>>): LowRank {
  const [seed] = parts.seed.data as Uint32Array
  return {
    left: loadFactor(LEFT, parts, rows, p.rank, { bits: p.bits, along: 'cols' }),
    right: ternaryMatrix(p.rank, cols, p.density, seed),
  }
}
