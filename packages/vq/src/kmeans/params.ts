import * as z from 'zod'
import { groupSize } from '../shared/groups.ts'
import { scaleFormat } from '../shared/scales.ts'

export const kmeansParams = z
  .strictObject({
    /** Bits per weight of the codes: bits·dim is a whole number of at most 12. */
    bits: z.number().positive().max(12),
    /** Neighbouring weights that share a code. */
    dim: z.literal([1, 2, 4, 8]).default(2),
    /** Weights of a row that share a scale; `none`: the codebook alone sets the scale. */
    group: z.union([groupSize, z.literal('none')]).default('auto'),
    scales: scaleFormat.default('double'),
    /** Brings similar columns together inside blocks of 64 rows and stores their order: ⌈log₂ cols⌉ / 64 bits per weight. */
    permute: z.boolean().default(false),
    /** Rounds of k-means at the most. */
    iterations: z.int().min(1).max(1000).default(20),
  })
  .refine(({ bits, dim }) => Number.isInteger(bits * dim) && bits * dim <= 12, {
    path: ['bits'],
    message: 'bits·dim must be a whole number of at most 12',
  })

export type KmeansParams = z.input<typeof kmeansParams>
