import { isLayered, type LayeredOp } from '../layered-op.ts'
import type { Experts, Op } from '../op.ts'
import { isRecurrent, type RecurrentOp } from '../recurrent-op.ts'
import type { Weight } from '../weight.ts'

/** Adds to the logits, one for each row of a matrix, the squares of the columns that the tokens name: none of a token beyond the last. */
export interface ColumnSquares {
  readonly kind: 'column-squares'
  readonly weight: Weight
}

export type GpuOp = Op | ColumnSquares

/** What `compile-rare.ts` compiles, which is fetched for models that have such ops. */
export type RareOp = LayeredOp | RecurrentOp | Experts | ColumnSquares

export const isRare = (op: GpuOp): op is RareOp =>
  op.kind === 'experts' || op.kind === 'column-squares' || isLayered(op) || isRecurrent(op)
