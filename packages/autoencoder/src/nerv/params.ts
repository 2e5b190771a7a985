import * as z from 'zod'
import { MOST_BITS } from './latents.ts'

/** Shape of an autoencoder: a large embedding with a small decoder, a small one with a large decoder, … */
export const nervParams = z
  .strictObject({
    patch: z
      .literal([16, 32, 64, 128, 256, 512])
      .default(64)
      .describe('side of the square patches, in weights'),
    stages: z
      .int()
      .min(1)
      .max(5)
      .default(2)
      .describe('pixel-shuffle stages: latents have 1/2^stages of the resolution'),
    latentWidth: z.int().min(1).max(64).default(8).describe('channels of the latents'),
    latentBits: z
      .number()
      .positive()
      .max(MOST_BITS)
      .default(2)
      .describe('bits of a latent, b: the mean over the channels, which get what their variance asks for'),
    decoderWidth: z.int().min(2).max(256).default(4).describe('channels of the decoder’s first stage'),
    weightBits: z.int().min(4).max(12).default(8).describe('bits of a decoder weight, b_φ'),
    start: z
      .enum(['principal', 'encoder'])
      .default('principal')
      .describe(
        'principal: latents begin as principal components of blocks, and a linear path beside the convolutions knows ' +
          'them; encoder: the paper’s, a ConvNeXt encoder that is trained first and thrown away',
      ),
    scaling: z
      .enum(['patch', 'matrix'])
      .default('patch')
      .describe('a scale for each patch (blockwise absmax), or one for all'),
    steps: z.int().min(0).default(300).describe('training steps; with an encoder, the first half trains it'),
    batch: z.int().min(1).default(8).describe('patches in a step'),
    learningRate: z.number().positive().default(2e-3).describe('Adam, decayed by a cosine'),
    patience: z
      .int()
      .min(1)
      .optional()
      .describe('stop when the smoothed loss has not fallen for so many steps'),
    weighted: z.boolean().default(false).describe('weigh errors by the diagonal of H'),
  })
  .refine(({ patch, stages }) => patch >= 2 ** stages, 'patches cannot be halved so many times')
  .refine(
    ({ latentWidth, latentBits }) => Number.isInteger(latentWidth * latentBits),
    'latentWidth · latentBits must be whole',
  )

export type NervInput = z.input<typeof nervParams>
export type NervParams = z.output<typeof nervParams>
