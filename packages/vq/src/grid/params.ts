import * as z from 'zod'
import { groupSize } from '../shared/groups.ts'
import { scaleFormat } from '../shared/scales.ts'

export const gridParams = z.strictObject({
  /** Bits of a code, 1–8. */
  bits: z.int().min(1).max(8),
  /** Weights of a row that share a scale. */
  group: groupSize.default('auto'),
  /** Levels at equal distances on both sides of 0 (0 itself is none of them), instead of from min to max. */
  symmetric: z.boolean().default(true),
  /** `mse` clips where that lowers the squared error (weighted by diag H); `absmax` never clips. */
  clip: z.enum(['absmax', 'mse']).default('mse'),
  scales: scaleFormat.default('f16'),
})

export type GridParams = z.input<typeof gridParams>
