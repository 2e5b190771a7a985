import type { MatrixShape } from '@reallm/tensor-io'
import * as z from 'zod'

/** Shape of an autoencoder: a large embedding with a small decoder, a small one with a large decoder, … */
export const nervParams = z.strictObject({
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
  latentWidth: z.int().min(1).max(64).default(16).describe('channels of the latents'),
  latentBits: z.int().min(1).max(8).default(2).describe('bits of a latent, b'),
  decoderWidth: z.int().min(2).max(256).default(16).describe('channels of the decoder’s first stage'),
  weightBits: z.int().min(4).max(8).default(8).describe('bits of a decoder weight, b_φ'),
  steps: z.int().min(1).default(600).describe('training steps; the last half without the encoder'),
  batch: z.int().min(1).default(16).describe('patches in a step'),
  learningRate: z.number().positive().default(4e-3).describe('Adam, decayed by a cosine'),
  weighted: z.boolean().default(false).describe('weigh errors by the diagonal of H'),
})

export type NervParams = z.infer<typeof nervParams>

/** Each stage has this many times fewer channels than the one before (HNeRV's reduction). */
const REDUCTION = 1.2

/** Channels after the stem and after each stage. */
export function channelsOf({ decoderWidth, stages }: NervParams): number[] {
  return Array.from({ length: stages + 1 }, (_, i) => Math.max(2, Math.round(decoderWidth / REDUCTION ** i)))
}

/** `[out, in]` of the decoder's layers: stem, stages, head; a 3×3 convolution's `in` is 9 × channels. */
export function layerShapes(params: NervParams): MatrixShape[] {
  const channels = channelsOf(params)
  const stages = channels.slice(1).map((c, i) => [4 * c, 9 * channels[i]] as const)
  return [[channels[0], params.latentWidth], ...stages, [1, 9 * channels.at(-1)!]]
}
