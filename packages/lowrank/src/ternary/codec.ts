import { matmul } from '@reallm/kernels'
import {
  checkParts,
  defineCodec,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  type Stored,
  seedFor,
  tensor,
} from '@reallm/tensor-io'
import {
  type LowRank,
  readTernary,
  TERNARY_LEFT,
  ternaryFormat,
  ternaryLayout,
} from '@reallm/tensor-io/layouts'
import { metricOf } from '../metric.ts'
import { storeFactor } from '../store-factor.ts'
import { ternary as factorise, ternaryMatrix } from './ternary.ts'

/** Parameters of the codec `ternary`. */
export type TernaryParams = GivenOf<typeof ternaryLayout>

/**
 * A right factor of −1, 0 and 1 that is regenerated from a stored seed of 32 bits (arXiv 2103.17142): only `C` is stored.
 *
 * @example
 * const stored = await ternaryCodec.encode(w, { rank: 128, bits: 4 }, { seed: 1 })
 */
export const ternaryCodec = defineCodec({
  layout: ternaryLayout,
  async encode(w, { rank, bits, density, weighting }, ctx) {
    const seed = seedFor(ctx.seed, 'ternary')
    const { left } = factorise(w, rank, { density, seed, metric: metricOf(ctx, weighting) })
    return {
      parts: {
        ...storeFactor(TERNARY_LEFT, left, ternaryFormat(bits)),
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
  const { left, right } = factorsOf(checkParts(ternaryLayout, e))
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

function factorsOf(e: Stored<typeof ternaryLayout>): LowRank {
  const { left, seed } = readTernary(e)
  const { rank, density } = e.params
  return { left, right: ternaryMatrix(rank, e.shape[1], density, seed) }
}
