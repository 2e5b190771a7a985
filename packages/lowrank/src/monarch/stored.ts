import type { MatrixShape, StorageCost, Tensor } from '@reallm/tensor-io'
import * as z from 'zod'
import { type FactorFormat, factorCost, loadFactor, storeFactor } from '../store-factor.ts'
import { checkBlocks, type Monarch, type MonarchShape, monarchBlocks } from './monarch.ts'

const LEFT = 'monarch_l'
const RIGHT = 'monarch_r'

export const monarchShape = {
  rank: z.int().min(1).default(1).describe('rank of every slice; 1 is a Monarch matrix'),
  inBlocks: z.int().min(1).optional().describe('blocks of columns; by default the divisor nearest to √in'),
  outBlocks: z.int().min(1).optional().describe('groups of rows; by default the divisor nearest to √out'),
  bits: z.int().min(1).max(16).default(16).describe('bits of an entry of L and R: 1 to 8, or 16'),
}

export interface MonarchStorage {
  readonly rank: number
  readonly inBlocks?: number | undefined
  readonly outBlocks?: number | undefined
  readonly bits: number
}

/** The block structure that parameters mean for a shape; throws `bad-option` when it does not fit. */
export function blocksOf([rows, cols]: MatrixShape, p: MonarchStorage): MonarchShape {
  const near = monarchBlocks(rows, cols)
  const shape = {
    inBlocks: p.inBlocks ?? near.inBlocks,
    outBlocks: p.outBlocks ?? near.outBlocks,
    rank: p.rank,
  }
  checkBlocks(rows, cols, shape)
  return shape
}

export function monarchCost([rows, cols]: MatrixShape, p: MonarchStorage): StorageCost {
  const { inBlocks: k, outBlocks: l, rank: t } = blocksOf([rows, cols], p)
  return { ...factorCost(LEFT, rows, k * t, format(p)), ...factorCost(RIGHT, k * l * t, cols / k, format(p)) }
}

export function storeMonarch(m: Monarch, p: MonarchStorage): Record<string, Tensor> {
  return { ...storeFactor(LEFT, m.left, format(p)), ...storeFactor(RIGHT, m.right, format(p)) }
}

export function loadMonarch(
  parts: Readonly<Record<string, Tensor>>,
  [rows, cols]: MatrixShape,
  p: MonarchStorage,
): Monarch {
  const shape = blocksOf([rows, cols], p)
  const { inBlocks: k, outBlocks: l, rank: t } = shape
  return {
    ...shape,
    left: loadFactor(LEFT, parts, rows, k * t, format(p)),
    right: loadFactor(RIGHT, parts, k * l * t, cols / k, format(p)),
  }
}

const format = ({ bits }: MonarchStorage): FactorFormat => ({ bits, along: 'rows' })
