import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { checkRank, factorBits, type LowRank, lowRankParts, readLowRank, weighting } from './factors.ts'

const lowrankParams = {
  /** Columns of L₁ and rows of L₂. */
  rank: { whole: [1] },
  /** Bits of each factor entry: 1 to 8, or 16. */
  bits: { like: factorBits, default: 8 },
  /** How much of the Hessians counts in the error. */
  weighting,
  /** Extra directions of the randomised SVD. */
  oversampling: { whole: [0], default: 10 },
  /** Passes over the sketch of the randomised SVD. */
  powerIterations: { whole: [0], default: 2 },
  /** Least-squares refits of a factor to the other one as stored. */
  refits: { whole: [0], default: 4 },
} as const satisfies Fields

/**
 * `W ≈ L₁L₂` with both factors of few bits.
 *
 * Parts: the factors, see `lowRankParts`.
 */
export const lowrankLayout: StoredLayout<typeof lowrankParams> = {
  codec: 'lowrank',
  params: lowrankParams,
  parts(shape, { rank, bits }) {
    checkRank(rank, ...shape)
    return lowRankParts(shape, rank, bits)
  },
}

const lowRankResidualParams = {
  /** Columns of L₁ and rows of L₂; 0: no low-rank part. */
  rank: { whole: [0], default: 8 },
  /** Bits of each factor entry: 1 to 8, or 16. */
  bits: { like: factorBits, default: 8 },
  /** Most rounds of the alternation. */
  rounds: { whole: [1, 100], default: 10 },
  /** Stop when a round lowers the squared error by less than this share. */
  tolerance: { number: { least: 0 }, default: 5e-3 },
  /** How much of the Hessians the factors are fitted under. */
  weighting,
  /**
   * `each`: one alternation for this weighting and for every weaker one; the best under the whole Hessians is kept.
   */
  starts: { of: ['one', 'each'], default: 'one' },
  /** Extra directions of the randomised SVD. */
  oversampling: { whole: [0], default: 10 },
  /** Passes over the sketch of the randomised SVD. */
  powerIterations: { whole: [0], default: 2 },
  /** Least-squares refits of a factor to the other one as stored. */
  refits: { whole: [0], default: 4 },
} as const satisfies Fields

/**
 * `W ≈ D_φ(E) ⊙ S + L₁L₂`: a low-rank part of higher precision beside the matrix of another codec (ReALLM §3.1).
 *
 * Parts: the factors, see `lowRankParts`; none at rank 0.
 */
export const lowRankResidualLayout: StoredLayout<typeof lowRankResidualParams> = {
  codec: 'lowrank-residual',
  wraps: true,
  params: lowRankResidualParams,
  parts(shape, { rank, bits }) {
    checkRank(rank, ...shape, 0)
    return lowRankParts(shape, rank, bits)
  },
}

/** The factors of a matrix. */
export const readLowRankFactors = ({
  parts,
  shape,
  params: { rank, bits },
}: Stored<typeof lowrankLayout> | Stored<typeof lowRankResidualLayout>): LowRank =>
  readLowRank(parts, shape, rank, bits)
