import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import type { Field } from '../field.ts'

/** Weights of a row that share a scale: a divisor of the row's length, `row` for the whole row, `auto` for about 64. */
export type GroupSize = number | 'row' | 'auto'

/** The field of parameters that says how many columns share a scale. */
export const groupSize = { whole: [2, 65536], of: ['row', 'auto'] } as const satisfies Field

/**
 * Columns of a group; throws `bad-option` with the sizes that would do when `group` does not divide the row.
 *
 * @param unit columns that are coded together: groups are multiples of it (or the whole row)
 */
export function groupCols(shape: MatrixShape, group: GroupSize, unit = 1): number {
  const cols = shape[1]
  if (group === 'row' || group === cols) return cols
  const near = (size: number, most: number) =>
    divisorsNear(cols, size, most).filter(d => d % unit === 0 || d === cols)
  if (group === 'auto') {
    const sizes = near(64, 128).filter(d => d >= 32)
    return sizes.reduce((a, d) => (Math.abs(d - 64) < Math.abs(a - 64) ? d : a), sizes[0] ?? cols)
  }
  if (cols % group === 0 && group % unit === 0) return group
  const problem =
    cols % group === 0 ? `group ${group} is no multiple of ${unit}` : `group ${group} does not divide ${cols}`
  throw new ReallmError('bad-option', `${shapeText(shape)}: ${problem}`, {
    hint: `use ${[...near(group, FARTHEST), '"row"'].join(', ').replace(/, ([^,]*)$/, ' or $1')}`,
  })
}

/** Largest group that a hint suggests. */
const FARTHEST = 2 * 65536

/** The two largest divisors of `n` below `near` and the two smallest from it to `most`, 1 left out. */
function divisorsNear(n: number, near: number, most: number): number[] {
  const found: number[] = []
  for (let d = near - 1; d > 1 && found.length < 2; d--) if (n % d === 0) found.unshift(d)
  const below = found.length
  for (let d = near; d <= most && d <= n && found.length < below + 2; d++) if (n % d === 0) found.push(d)
  return found
}
