import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { checkRank, factorBits, type LowRank, lowRankParts, readLowRank } from './factors.ts'

const params = {
  /** Dimensions that are kept; by default as many as `share` allows. */
  rank: { whole: [1], optional: true },
  /** Parameters of both layers over those of the matrix. */
  share: { number: { above: 0, most: 1 }, default: 0.5 },
  /** Bits of each factor entry: 1 to 8, or 16. */
  bits: { like: factorBits, default: 16 },
} as const satisfies Fields

type Params = FullParams<typeof params>

/**
 * LLM-ROM: two layers instead of one, `W ≈ V (VᵀW)`.
 *
 * Parts: the factors, see `lowRankParts`.
 */
export const romLayout: StoredLayout<typeof params> = {
  codec: 'rom',
  params,
  parts: (shape, params) => lowRankParts(shape, romRankOf(shape, params), params.bits),
}

/** The rank that parameters mean for a shape. */
export function romRankOf(shape: MatrixShape, { rank, share }: Params): number {
  if (rank !== undefined) checkRank(rank, ...shape)
  return rank ?? romRank(shape, share)
}

/**
 * Largest rank whose two layers have at most `share` of the parameters of a matrix.
 *
 * @throws ReallmError `bad-option` when not even rank 1 fits
 */
export function romRank([rows, cols]: MatrixShape, share: number): number {
  const rank = Math.min(rows, cols, Math.floor((share * rows * cols) / (rows + cols)))
  if (rank < 1) {
    throw new ReallmError(
      'bad-option',
      `${shapeText([rows, cols])}: no rank fits ${share} of the parameters`,
      {
        hint: `use at least ${((rows + cols) / (rows * cols)).toPrecision(2)}`,
      },
    )
  }
  return rank
}

/** The factors of a matrix. */
export const readRom = ({ parts, shape, params }: Stored<typeof romLayout>): LowRank =>
  readLowRank(parts, shape, romRankOf(shape, params), params.bits)
