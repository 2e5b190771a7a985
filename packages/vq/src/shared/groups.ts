import { type MatrixShape, ReallmError, shapeText } from '@reallm/tensor-io'
import * as z from 'zod'

/** Weights of a row that share a scale: a divisor of the row's length, `row` for the whole row, `auto` for about 64. */
export const groupSize = z.union([z.int().min(2).max(65536), z.literal('row'), z.literal('auto')])
export type GroupSize = z.infer<typeof groupSize>

/**
 * Columns of a group; throws `bad-option` with the sizes that would do when `group` does not divide the row.
 *
 * @param unit columns that are coded together: groups are multiples of it (or the whole row)
 */
export function groupCols(shape: MatrixShape, group: GroupSize, unit = 1): number {
  const cols = shape[1]
  if (group === 'row' || group === cols) return cols
  const near = (size: number) => divisorsNear(cols, size).filter(d => d % unit === 0 || d === cols)
  if (group === 'auto') {
    const best = near(64).filter(d => d >= 32 && d <= 128)
    return best.reduce((a, d) => (Math.abs(d - 64) < Math.abs(a - 64) ? d : a), best[0] ?? cols)
  }
  if (cols % group === 0 && group % unit === 0) return group
  const problem =
    cols % group === 0 ? `group ${group} is no multiple of ${unit}` : `group ${group} does not divide ${cols}`
  throw new ReallmError('bad-option', `${shapeText(shape)}: ${problem}`, {
    hint: `use ${[...near(group), '"row"'].join(', ').replace(/, ([^,]*)$/, ' or $1')}`,
  })
}

/** Divisors of `n` around `near`, for hints: the largest below, the two above. */
function divisorsNear(n: number, near: number): number[] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  const below = divisors.filter(d => d < near).slice(-2)
  const above = divisors.filter(d => d >= near).slice(0, 2)
  return [...below, ...above].filter(d => d > 1)
}
