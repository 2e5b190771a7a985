import type { Matrix } from '../../core/tensor.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { checkRank, type FactorFormat, factorBits, factorParts, readFactor, weighting } from './factors.ts'

/** The part that holds C. */
export const TERNARY_LEFT = 'ternary_c'

const params = {
  /** Columns of C and rows of T. */
  rank: { whole: [1] },
  /** Bits of an entry of C: 1 to 8, or 16; T takes none. */
  bits: { like: factorBits, default: 8 },
  /** Share of entries of T that are not zero. */
  density: { number: { above: 0, most: 1 }, default: 0.1 },
  /** How much of the Hessians the error is measured by. */
  weighting,
} as const satisfies Fields

/**
 * `W ≈ C T` with a T of −1, 0 and 1 that is regenerated from a seed.
 *
 * Parts: `ternary_c` `[rows, rank]` as `factorParts` tells, a scale for each column; `seed` U32 `[1]`.
 */
export const ternaryLayout: StoredLayout<typeof params> = {
  codec: 'ternary',
  params,
  parts([rows, cols], { rank, bits }) {
    checkRank(rank, rows, cols)
    return {
      ...factorParts(TERNARY_LEFT, rows, rank, ternaryFormat(bits)),
      seed: { dtype: 'U32', shape: [1] },
    }
  },
}

/** How C is stored. */
export const ternaryFormat = (bits: number): FactorFormat => ({ bits, along: 'cols' })

/** C `[rows, rank]`, and the seed of T. */
export function readTernary(e: Stored<typeof ternaryLayout>): { left: Matrix; seed: number } {
  const { rank, bits } = e.params
  const [seed] = e.parts.seed.data as Uint32Array
  return { left: readFactor(TERNARY_LEFT, e.parts, e.shape[0], rank, ternaryFormat(bits)), seed }
}
