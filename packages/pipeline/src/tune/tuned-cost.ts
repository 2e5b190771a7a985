import { type MatrixShape, prefixed, type StorageCost } from '@reallm/tensor-io'
import { rowScaledLayout } from '@reallm/tensor-io/layouts'

/** Few bits are enough: factors differ by some per cent, and a matrix's own error is larger. */
export const ROW_SCALE_BITS = 4

/** What a factor on each row of a matrix takes. */
export const rowScalesCost = (shape: MatrixShape): StorageCost =>
  rowScaledLayout.parts(shape, { bits: ROW_SCALE_BITS })

/** What a matrix takes with a trained factor on each of its rows. */
export const tunedCost = (cost: StorageCost, shape: MatrixShape): StorageCost => ({
  ...rowScalesCost(shape),
  ...prefixed(cost),
})
