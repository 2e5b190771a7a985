import * as z from 'zod'

export const e8Params = z.strictObject({
  /** Bits per weight: 2, or with a second stage on what is left 3 or 4. */
  bits: z.literal([2, 3, 4]),
  /** One f32 scale for the matrix, or an f16 one for each row. */
  scale: z.enum(['matrix', 'row']).default('matrix'),
  /** Factor on the scale: above 1 where feedback will widen the values to come. */
  gain: z.number().positive().default(1),
})

export type E8Params = z.input<typeof e8Params>
