import { grid, withFeedback } from '@reallm/vq'
import { type Choice, choice } from '../recipe.ts'

/** Embeddings are looked up row by row: grids with feedback. */
export const gridRows = (): Choice[] =>
  [2, 3, 4, 8].map(bits => choice(`grid ${bits} bits`, withFeedback(grid), { bits, group: 'auto' }, 'grid'))
