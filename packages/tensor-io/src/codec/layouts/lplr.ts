import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { checkRank, factorBits, type LowRank, lowRankParts, readLowRank, weighting } from './factors.ts'

const params = {
  /** Columns of L and rows of R. */
  rank: { whole: [1] },
  /** Bits of an entry of L: 1 to 8, or 16. */
  leftBits: { like: factorBits, default: 8 },
  /** Bits of an entry of R: 1 to 8, or 16. */
  rightBits: { like: factorBits, default: 8 },
  /** Source of L: a Gaussian sketch (LPLR) or the SVD (LPLR-SVD). */
  sketch: { of: ['gaussian', 'svd'], default: 'gaussian' },
  rounding: { of: ['dithered', 'nearest'], default: 'dithered' },
  /** How much of the Hessians counts in the error. */
  weighting,
} as const satisfies Fields

/**
 * LPLR: `W ≈ L R` with both factors of few bits, each on its own.
 *
 * Parts: the factors, see `lowRankParts`.
 */
export const lplrLayout: StoredLayout<typeof params> = {
  codec: 'lplr',
  params,
  parts(shape, { rank, leftBits, rightBits }) {
    checkRank(rank, ...shape)
    return lowRankParts(shape, rank, leftBits, rightBits)
  },
}

/** The factors of a matrix. */
export const readLplr = ({ parts, shape, params: p }: Stored<typeof lplrLayout>): LowRank =>
  readLowRank(parts, shape, p.rank, p.leftBits, p.rightBits)
