import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import type { Matrix, MatrixShape } from '../../core/tensor.ts'
import type { EncodedMatrix, StorageCost } from '../encoded-matrix.ts'
import type { Fields } from '../field.ts'
import type { StoredLayout } from '../layout.ts'
import { type FactorFormat, factorBits, factorParts, readFactor } from './factors.ts'

/** Parts that hold L and R. */
export const MONARCH_LEFT = 'monarch_l'
/** The part's name of the right blocks. */
export const MONARCH_RIGHT = 'monarch_r'

const structure = {
  /** Rank of every slice; 1 is a Monarch matrix. */
  rank: { whole: [1], default: 1 },
  /** Blocks of columns; by default the divisor nearest to √in. */
  inBlocks: { whole: [1], optional: true },
  /** Groups of rows; by default the divisor nearest to √out. */
  outBlocks: { whole: [1], optional: true },
  /** Bits of an entry of L and R: 1 to 8, or 16. */
  bits: { like: factorBits, default: 16 },
} as const satisfies Fields

/**
 * A Monarch matrix `P L Pᵀ R` of k blocks of columns, l groups of rows and slices of rank t.
 *
 * Parts: `monarch_l` `[rows, k·t]` and `monarch_r` `[k·l·t, cols / k]` as `factorParts` tells, a scale for each row.
 */
export const monarchLayout: StoredLayout<typeof structure> = {
  codec: 'monarch',
  params: structure,
  parts: monarchParts,
}

const residual = {
  ...structure,
  bits: { like: factorBits, default: 8 },
  /** Most rounds of the alternation. */
  rounds: { whole: [1, 100], default: 10 },
  /** Stop when a round lowers the squared error by less than this share. */
  tolerance: { number: { least: 0 }, default: 5e-3 },
} as const satisfies Fields

/** `W ≈ D_φ(E) ⊙ S + M`: a Monarch matrix beside the matrix of another codec. Parts: those of `monarch`. */
export const monarchResidualLayout: StoredLayout<typeof residual> = {
  codec: 'monarch-residual',
  wraps: true,
  params: residual,
  parts: monarchParts,
}

/** Parameters that a Monarch matrix's stored form depends on. */
export interface MonarchStructure {
  readonly rank: number
  readonly inBlocks?: number | undefined
  readonly outBlocks?: number | undefined
  readonly bits: number
}

/** Block structure of a Monarch matrix `[rows, cols]`. */
export interface MonarchShape {
  /** k: diagonal blocks of R; divides the columns. */
  readonly inBlocks: number
  /** l: diagonal blocks of L; divides the rows. */
  readonly outBlocks: number
  /** Rank t of every slice; 1 is Monarch's own. */
  readonly rank: number
}

/**
 * `M = P L Pᵀ R` (arXiv 2204.00595): R takes each of k blocks of inputs to l·t values, L each of l groups of k·t
 * such values to its outputs; P is a permutation. Output `i` belongs to block `i mod l` of L.
 */
export interface Monarch extends MonarchShape {
  /** `[rows, k·t]`: L's blocks `[rows / l, k·t]`, one below the other. */
  readonly left: Matrix
  /** `[k·l·t, cols / k]`: R's blocks `[l·t, cols / k]`, one below the other. */
  readonly right: Matrix
}

/** How L and R are stored. */
export const monarchFormat = (bits: number): FactorFormat => ({ bits, along: 'rows' })

function monarchParts([rows, cols]: MatrixShape, p: MonarchStructure): StorageCost {
  const { inBlocks: k, outBlocks: l, rank: t } = blocksOf([rows, cols], p)
  const format = monarchFormat(p.bits)
  return {
    ...factorParts(MONARCH_LEFT, rows, k * t, format),
    ...factorParts(MONARCH_RIGHT, k * l * t, cols / k, format),
  }
}

/** The factors of a matrix of either layout. */
export function readMonarch({
  parts,
  shape,
  params,
}: Pick<EncodedMatrix<MonarchStructure>, 'parts' | 'shape' | 'params'>): Monarch {
  const structure = blocksOf(shape, params)
  const { inBlocks: k, outBlocks: l, rank: t } = structure
  const format = monarchFormat(params.bits)
  return {
    ...structure,
    left: readFactor(MONARCH_LEFT, parts, shape[0], k * t, format),
    right: readFactor(MONARCH_RIGHT, parts, k * l * t, shape[1] / k, format),
  }
}

/** The block structure that parameters mean for a shape; throws `bad-option` when it does not fit. */
export function blocksOf(shape: MatrixShape, p: Omit<MonarchStructure, 'bits'>): MonarchShape {
  const near = monarchBlocks(...shape)
  const blocks = {
    inBlocks: p.inBlocks ?? near.inBlocks,
    outBlocks: p.outBlocks ?? near.outBlocks,
    rank: p.rank,
  }
  checkBlocks(shape, blocks)
  return blocks
}

/** Throws `bad-option` unless blocks divide the shape and slices have that rank. */
export function checkBlocks([rows, cols]: MatrixShape, { inBlocks, outBlocks, rank }: MonarchShape): void {
  const name = shapeText([rows, cols])
  if (cols % inBlocks !== 0 || rows % outBlocks !== 0) {
    const near = monarchBlocks(rows, cols)
    throw new ReallmError(
      'bad-option',
      `${name}: ${inBlocks} blocks of columns and ${outBlocks} of rows do not divide it`,
      { hint: `use ${near.inBlocks} and ${near.outBlocks}` },
    )
  }
  const most = Math.min(rows / outBlocks, cols / inBlocks)
  if (rank > most) {
    throw new ReallmError(
      'bad-option',
      `${name}: slices of these blocks have at most rank ${most}, not ${rank}`,
    )
  }
}

/** Blocks near the square roots of both sides, where a Monarch matrix has the fewest parameters. */
export const monarchBlocks = (rows: number, cols: number): Omit<MonarchShape, 'rank'> => ({
  inBlocks: divisorNearRoot(cols),
  outBlocks: divisorNearRoot(rows),
})

/** The divisor of n nearest to √n by ratio: of two that are equally near, the smaller. */
function divisorNearRoot(n: number): number {
  for (let d = Math.floor(Math.sqrt(n)); d > 1; d--) if (n % d === 0) return d
  return 1
}
