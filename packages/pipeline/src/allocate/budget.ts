import { ReallmError } from '@reallm/tensor-io'

/** What is asked for: bits for each weight, or bytes for the file. */
export type Budget = { readonly bits: number } | { readonly bytes: number }

/** How large the result may be: one of the two. */
export interface BudgetOptions {
  /** Average bits over every stored weight: embeddings, head, norms and file headers included (see `scope`). */
  readonly bits?: number | undefined
  /** Sum of the weight files, in bytes. */
  readonly targetSize?: number | undefined
}

/** The budget asked for; throws `bad-option` unless it is one, and possible at all. */
export function budgetOf({ bits, targetSize }: BudgetOptions): Budget {
  if ((bits === undefined) === (targetSize === undefined)) {
    throw new ReallmError('bad-option', 'give either bits per weight or a target size', {
      hint: 'for example -b 3, or --target-size 45MB',
    })
  }
  if (bits !== undefined && !(bits > 0 && bits <= 16)) {
    throw new ReallmError('bad-option', `${bits} bits per weight: it must be over 0 and at most 16`)
  }
  return bits !== undefined ? { bits } : { bytes: targetSize! }
}
