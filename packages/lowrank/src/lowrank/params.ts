import * as z from 'zod'

export const lowRankParams = z.strictObject({
  rank: z.int().min(1).describe('columns of L₁ and rows of L₂'),
  bits: z.int().min(1).max(16).default(8).describe('bits of each factor entry: 1 to 8, or 16'),
  weighting: z
    .enum(['full', 'diagonal', 'none'])
    .default('full')
    .describe('how much of the second moments the error is measured by'),
  oversampling: z.int().min(0).default(10).describe('extra directions of the randomised SVD'),
  powerIterations: z.int().min(0).default(2).describe('passes over the sketch of the randomised SVD'),
  refits: z.int().min(0).default(4).describe('least-squares refits of a factor to the other one as stored'),
})

export type LowRankParams = z.input<typeof lowRankParams>
