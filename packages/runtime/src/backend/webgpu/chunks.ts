import { BAND_ROWS } from '@reallm/kernels/webgpu'
import { type GpuWeight, isTrellis } from './weight.ts'

/** Workgroups that keep a device busy. */
const BUSY = 256
/** Tile columns of a chunk at least, so that its sums are few beside its codes; chunks of a product at most. */
const [LEAST_COLUMNS, MOST_CHUNKS] = [16, 8]

/** Into how many ranges of columns the products of a dispatch are split, where it has too few rows to keep a device busy. */
export function chunksOf(group: readonly GpuWeight[], { cols }: GpuWeight): number {
  if (!group.every(({ pieces }) => pieces.every(({ blob }) => isTrellis(blob)))) return 1
  const bands = group.reduce((sum, { rows }) => sum + Math.ceil(rows / BAND_ROWS), 0)
  const most = Math.min(MOST_CHUNKS, Math.floor(cols / (16 * LEAST_COLUMNS)))
  return Math.max(1, Math.min(most, Math.ceil(BUSY / bands)))
}
