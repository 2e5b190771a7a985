import { packedBytes, unpackBits } from '../../core/bits.ts'
import { ReallmError } from '../../core/errors.ts'
import { f16ToF32 } from '../../core/float.ts'
import { type Matrix, type MatrixShape, type Tensor, zeroMatrix } from '../../core/tensor.ts'
import type { StorageCost } from '../encoded-matrix.ts'
import type { Field } from '../field.ts'

/** Bits of an entry of a factor: 16 for half floats, 1 to 8 for whole codes times a half-float scale per line. */
export const factorBits = { whole: [1, 8], of: [16] } as const satisfies Field

/** How a factor is stored: in which dtype, or on how many bits. */
export interface FactorFormat {
  /** See {@link factorBits}. */
  readonly bits: number
  /** Which lines share a scale: each row or each column. */
  readonly along: 'rows' | 'cols'
}

/** Two factors whose product a matrix is: `left` is L₁ `[rows, rank]`, `right` L₂ `[rank, cols]`. */
export interface LowRank {
  readonly left: Matrix
  readonly right: Matrix
}

/**
 * The part `name`, and below 16 bits `name_scale`: codes `0 … 2^bits − 1`, packed row by row, mean
 * `scale · (2·code − 2^bits + 1)`.
 */
export function factorParts(
  name: string,
  rows: number,
  cols: number,
  { bits, along }: FactorFormat,
): StorageCost {
  if (bits === 16) return { [name]: { dtype: 'F16', shape: [rows, cols] } }
  return {
    [name]: { dtype: 'U8', shape: [packedBytes(rows * cols, bits)] },
    [`${name}_scale`]: { dtype: 'F16', shape: [along === 'rows' ? rows : cols] },
  }
}

/** The `[rows, cols]` factor that is stored in the part `name`. */
export function readFactor(
  name: string,
  parts: Readonly<Record<string, Tensor>>,
  rows: number,
  cols: number,
  { bits, along }: FactorFormat,
): Matrix {
  const { data } = parts[name]
  if (bits === 16) return { rows, cols, data: f16ToF32(data as Uint16Array) }
  const m = zeroMatrix(rows, cols)
  const scales = f16ToF32(parts[`${name}_scale`].data as Uint16Array)
  const codes = unpackBits(data as Uint8Array, bits, rows * cols)
  const top = 2 ** bits - 1
  for (let i = 0; i < codes.length; i++) {
    m.data[i] = scales[along === 'rows' ? Math.floor(i / cols) : i % cols] * (2 * codes[i] - top)
  }
  return m
}

/** Parts of a pair of factors: `lowrank_a` is L₂ `[rank, in]`, `lowrank_b` is L₁ `[out, rank]` (LoRA's names). */
export const FACTOR_A = 'lowrank_a'
/** The part's name of the left factor. */
export const FACTOR_B = 'lowrank_b'

/** How a pair of factors is stored: a scale for each of L₁'s columns and L₂'s rows. */
export const factorFormats = (leftBits: number, rightBits: number) =>
  ({
    left: { bits: leftBits, along: 'cols' },
    right: { bits: rightBits, along: 'rows' },
  }) as const satisfies Record<string, FactorFormat>

/** Parts of the factors of a `[rows, cols]` matrix; none at rank 0. */
export function lowRankParts(
  [rows, cols]: MatrixShape,
  rank: number,
  leftBits: number,
  rightBits = leftBits,
): StorageCost {
  if (rank === 0) return {}
  const { left, right } = factorFormats(leftBits, rightBits)
  return { ...factorParts(FACTOR_A, rank, cols, right), ...factorParts(FACTOR_B, rows, rank, left) }
}

/** The factors that `parts` hold. */
export function readLowRank(
  parts: Readonly<Record<string, Tensor>>,
  [rows, cols]: MatrixShape,
  rank: number,
  leftBits: number,
  rightBits = leftBits,
): LowRank {
  if (rank === 0) return { left: zeroMatrix(rows, 0), right: zeroMatrix(0, cols) }
  const { left, right } = factorFormats(leftBits, rightBits)
  return {
    left: readFactor(FACTOR_B, parts, rows, rank, left),
    right: readFactor(FACTOR_A, parts, rank, cols, right),
  }
}

/** How much of the Hessians counts in the error. */
export const weighting = { of: ['full', 'diagonal', 'none'], default: 'full' } as const satisfies Field

/** Throws `bad-option` unless `rank` is a whole number from `least` to min(rows, cols). */
export function checkRank(rank: number, rows: number, cols: number, least = 1): void {
  const most = Math.min(rows, cols)
  if (!Number.isInteger(rank) || rank < least || rank > most) {
    throw new ReallmError('bad-option', `a [${rows}, ${cols}] matrix cannot have rank ${rank}`, {
      hint: `use ${least} to ${most}`,
    })
  }
}
