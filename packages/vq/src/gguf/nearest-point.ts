import type { LatticeType } from './lattice-types.ts'
import { nearest, pointSet, searchPoints } from './point-set.ts'

/** The point nearest to a vector of 8 weights; filled anew by each search. */
export interface Nearest {
  /** Indices of one or two points. */
  readonly points: Uint16Array
  /** Bit `i`: weight `i` is negated. */
  signs: number
  /** 1 where the points are shifted down. */
  shift: number
  /** What the vector decodes to, over the step. */
  readonly values: Float64Array
  /** Weighed squared error, over the squared step. */
  error: number
}

export const noPoint = (): Nearest => ({
  points: new Uint16Array(2),
  signs: 0,
  shift: 0,
  values: new Float64Array(8),
  error: Number.POSITIVE_INFINITY,
})

const wanted = new Float64Array(8)

/**
 * Searches all points for that nearest to `data[at …] / step`, errors weighed by `importance[column …]`.
 *
 * @param shift what points are shifted by: −1 or 1 eighth, or 0
 */
export function nearestPoint(
  { grid: gridOf, width, signs }: LatticeType,
  data: Float32Array,
  at: number,
  step: number,
  importance: Float32Array,
  column: number,
  shift: number,
  found: Nearest,
): void {
  const grid = gridOf()
  const set = pointSet(grid, width)
  const inverse = step === 0 ? 0 : 1 / step
  found.signs = 0
  found.shift = shift < 0 ? 1 : 0
  for (let i = 0; i < 8; i++) {
    const value = data[at + i] * inverse
    const negative = signs !== undefined && value < 0
    if (negative) found.signs |= 1 << i
    wanted[i] = negative ? -value : value - shift / 8
  }
  if (signs === 'even' && isOdd(found.signs)) {
    let cheapest = 0
    for (let i = 1; i < 8; i++) {
      if (importance[column + i] * wanted[i] ** 2 < importance[column + cheapest] * wanted[cheapest] ** 2)
        cheapest = i
    }
    found.signs ^= 1 << cheapest
    wanted[cheapest] = -wanted[cheapest]
  }
  found.error = 0
  for (let from = 0, p = 0; from < 8; from += width, p++) {
    searchPoints(set, wanted, from, importance, column + from)
    const { at: best, error: least } = nearest
    found.points[p] = best
    found.error += least
    for (let i = 0; i < width; i++) {
      const value = grid[best * width + i]
      found.values[from + i] = (found.signs >> (from + i)) & 1 ? -value : value + shift / 8
    }
  }
}

function isOdd(signs: number): boolean {
  let bits = signs ^ (signs >> 4)
  bits ^= bits >> 2
  return ((bits ^ (bits >> 1)) & 1) === 1
}
