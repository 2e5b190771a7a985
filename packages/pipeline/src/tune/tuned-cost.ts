import { type MatrixShape, prefixed, type StorageCost } from '@reallm/tensor-io'
import { rowScaledLayout } from '@reallm/tensor-io/layouts'

/** What a factor on each row of a matrix takes. */
export const rowScalesCost = (shape: MatrixShape): StorageCost => rowScaledLayout.parts(shape, {})

/** What a matrix takes with a trained factor on each of its rows. */
export const tunedCost = (cost: StorageCost, shape: MatrixShape): StorageCost => ({
  ...rowScalesCost(shape),
  ...prefixed(cost),
})
