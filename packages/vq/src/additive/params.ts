import * as z from 'zod'

/** Products between all codewords are kept in memory: 64 MB at this number. */
const LARGEST = 4096

export const additiveParams = z
  .strictObject({
    /** M: codewords that are added up. */
    codebooks: z.int().min(1).max(8).default(2),
    /** B: bits of a codeword's number. M·B / dim bits per weight. */
    codebookBits: z.int().min(2).max(12).default(8),
    /** Neighbouring weights of a row that share M codes. */
    dim: z.literal([4, 8, 16]).default(8),
    /** Candidates kept while codewords are chosen one after the other. */
    beam: z.int().min(1).max(64).default(8),
    /** Rounds of new codes and least-squares codebooks. */
    rounds: z.int().min(0).max(200).default(8),
    /** Rounds under the whole H, when `encode` is given one. */
    refine: z.int().min(0).max(200).default(4),
  })
  .refine(({ codebooks, codebookBits }) => codebooks * 2 ** codebookBits <= LARGEST, {
    path: ['codebooks'],
    message: `codebooks·2^codebookBits must be at most ${LARGEST}`,
  })

export type AdditiveParams = z.input<typeof additiveParams>

/** The parameters with their defaults filled in. */
export type Full = z.output<typeof additiveParams>
