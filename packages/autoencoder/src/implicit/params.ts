import type { MatrixShape } from '@reallm/tensor-io'
import * as z from 'zod'

export const implicitParams = z.strictObject({
  dim: z.int().min(1).max(32).default(6).describe('neighbouring weights of a row decoded together, d'),
  codeBits: z
    .array(z.int().min(1).max(10))
    .min(1)
    .max(3)
    .refine(
      bits => bits.reduce((sum, b) => sum + b, 0) <= 16,
      'codes of a vector take at most 16 bits together',
    )
    .default([6, 6])
    .describe('bits of each latent code of a vector'),
  hidden: z.int().min(1).max(256).default(32).describe('width of the network’s hidden layer'),
  weightBits: z.int().min(4).max(8).default(8).describe('bits of a network weight, b_φ'),
  rounds: z.int().min(1).default(8).describe('alternations of assignment and training'),
  steps: z.int().min(1).default(150).describe('training steps in a round'),
  learningRate: z.number().positive().default(4e-3),
})

export type ImplicitInput = z.input<typeof implicitParams>
export type ImplicitParams = z.output<typeof implicitParams>

/** Bits of one vector's codes. */
export const vectorBits = ({ codeBits }: ImplicitParams): number => codeBits.reduce((sum, b) => sum + b, 0)

/** `[out, in]` of what is stored: a codebook `[d, 2^b]` per code, then the hidden and the output layer. */
export function layerShapes({ dim, codeBits, hidden }: ImplicitParams): MatrixShape[] {
  return [...codeBits.map(b => [dim, 2 ** b] as const), [hidden, codeBits.length * dim], [dim, hidden]]
}
