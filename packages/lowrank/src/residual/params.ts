import * as z from 'zod'

/** Parameters of `plusLowRank` without the inner codec's; `defaults` replace the built-in ones. */
export const residualShape = (defaults: PlusLowRankOptions = {}) => ({
  rank: z
    .int()
    .min(0)
    .default(defaults.rank ?? 8)
    .describe('columns of L₁ and rows of L₂; 0: no low-rank part'),
  bits: z
    .int()
    .min(1)
    .max(16)
    .default(defaults.bits ?? 8)
    .describe('bits of each factor entry: 1 to 8, or 16'),
  rounds: z
    .int()
    .min(1)
    .max(100)
    .default(defaults.rounds ?? 10)
    .describe('most rounds of the alternation'),
  tolerance: z
    .number()
    .min(0)
    .default(defaults.tolerance ?? 5e-3)
    .describe('stop when a round lowers the squared error by less than this share'),
  weighting: z
    .enum(['full', 'diagonal', 'none'])
    .default(defaults.weighting ?? 'full')
    .describe('how much of the second moments the factors are fitted under'),
  starts: z
    .enum(['one', 'each'])
    .default(defaults.starts ?? 'one')
    .describe(
      'each: one alternation for this weighting and for every weaker one; the best under the whole moments is kept',
    ),
  oversampling: z
    .int()
    .min(0)
    .default(defaults.oversampling ?? 10)
    .describe('extra directions of the randomised SVD'),
  powerIterations: z
    .int()
    .min(0)
    .default(defaults.powerIterations ?? 2)
    .describe('passes over the sketch of the randomised SVD'),
  refits: z
    .int()
    .min(0)
    .default(defaults.refits ?? 4)
    .describe('least-squares refits of a factor to the other one as stored'),
})

/** Every parameter of `plusLowRank` but `inner`. */
export interface PlusLowRankOptions {
  readonly rank?: number
  readonly bits?: number
  readonly rounds?: number
  readonly tolerance?: number
  readonly weighting?: 'full' | 'diagonal' | 'none'
  readonly starts?: 'one' | 'each'
  readonly oversampling?: number
  readonly powerIterations?: number
  readonly refits?: number
}
