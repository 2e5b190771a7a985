import type { Stored } from '@reallm/tensor-io'
import { readTrellisBands, type trellisBandsLayout } from '@reallm/tensor-io/layouts/trellis-bands'
import { decodeTrellisRows, type TrellisMatrix, trellisMatrix } from './trellis.ts'

/** A band of rows, and the first of them. */
export interface TrellisBandMatrix {
  readonly from: number
  readonly matrix: TrellisMatrix
}

/** The bands of a stored matrix, each with the values of its states. */
export const trellisBandMatrices = (e: Stored<typeof trellisBandsLayout>): TrellisBandMatrix[] =>
  readTrellisBands(e).map(({ from, matrix }) => ({ from, matrix: trellisMatrix(matrix) }))

/** Decodes rows `from` to `to` (exclusive) of all bands into `out`, row by row. */
export function decodeBands(
  bands: readonly TrellisBandMatrix[],
  from: number,
  to: number,
  out: Float32Array,
): void {
  for (const { from: first, matrix } of bands) {
    const [rows, cols] = matrix.shape
    const [a, b] = [Math.max(from, first), Math.min(to, first + rows)]
    if (a < b)
      decodeTrellisRows(matrix, a - first, b - first, out.subarray((a - from) * cols, (b - from) * cols))
  }
}
