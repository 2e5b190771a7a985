import * as z from 'zod'
import { groupSize } from '../shared/groups.ts'
import { scaleFormat } from '../shared/scales.ts'

export const normalfloatParams = z.strictObject({
  /** NF2, NF3 or NF4. */
  bits: z.int().min(2).max(4),
  /** Weights of a row that share a scale. */
  group: groupSize.default('auto'),
  /** `absmax` as in QLoRA, or the scale with the least squared error (weighted by diag H). */
  clip: z.enum(['absmax', 'mse']).default('absmax'),
  /** Double quantisation by default. */
  scales: scaleFormat.default('double'),
})

export type NormalfloatParams = z.input<typeof normalfloatParams>
