import { type MatrixShape, ReallmError, shapeText } from '@reallm/tensor-io'
import { z } from 'zod'

/** Weights of a row that share a scale: a divisor of the row's length, `row` for the whole row, `auto` for about 64. */
export const groupSize = z.union([z.int().min(2).max(65536), z.literal('row'), z.literal('auto')])
export type GroupSize = z.infer<typeof groupSize>

/** Columns of a group; throws `bad-option` with the sizes that would do when `group` does not divide the row. */
export function groupCols(shape: MatrixShape, group: GroupSize): number {
  const cols = shape[1]
  if (group === 'row') return cols
  if (group === 'auto') {
    if (cols % 64 === 0) return 64
    const near = divisorsNear(cols, 64).filter(d => d >= 32 && d <= 128)
    return near.length > 0
      ? near.reduce((best, d) => (Math.abs(d - 64) < Math.abs(best - 64) ? d : best))
      : cols
  }
  if (cols % group !== 0) {
    throw new ReallmError('bad-option', `${shapeText(shape)}: group ${group} does not divide ${cols}`, {
      hint: `use ${[...divisorsNear(cols, group), '"row"'].join(', ').replace(/, ([^,]*)$/, ' or $1')}`,
    })
  }
  return group
}

/** Divisors of `n` around `near`, for hints: the largest below, the two above. */
function divisorsNear(n: number, near: number): number[] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  const below = divisors.filter(d => d < near).slice(-2)
  const above = divisors.filter(d => d >= near).slice(0, 2)
  return [...below, ...above].filter(d => d > 1)
}
