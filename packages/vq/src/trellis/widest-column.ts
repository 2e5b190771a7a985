import { trellisDistortion } from '@reallm/kernels'
import type { ColumnContext } from '@reallm/tensor-io'
import { TILE } from '@reallm/tensor-io/layouts'

/**
 * The largest deviation of what error feedback hands over in a tile column, over that of the weights: values beyond the table cost more
 * than a coarser table does.
 *
 * @param rates of the tile columns, four times the bits per weight
 */
export function widestColumn(rates: Uint8Array, cols: number, { columnVariance }: ColumnContext): number {
  if (!columnVariance) return 1
  const noise = Float32Array.from({ length: cols }, (_, c) => trellisDistortion(rates[Math.floor(c / TILE)]))
  const variance = columnVariance(TILE, noise)
  let widest = 1
  for (let from = 0; from < cols; from += TILE) {
    const tile = variance.subarray(from, from + TILE)
    widest = Math.max(widest, tile.reduce((sum, v) => sum + v, 0) / tile.length)
  }
  return Math.sqrt(widest)
}
