import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { hadamardPlan } from './hadamard-plan.ts'
import { transformAxis } from './reference/hadamard.ts'

export interface HadamardOptions {
  /** `right` (default): every row x becomes (x ⊙ signs) T. `left`: every column, T (signs ⊙ x). */
  readonly side?: 'right' | 'left'
  /** ±1 for each entry, see `rotationSigns`; all +1 by default. */
  readonly signs?: ArrayLike<number>
  /** Undo the transform that the same options make. */
  readonly inverse?: boolean
}

/**
 * Turns the rows (or columns) of a matrix, in place, by a fixed symmetric orthogonal transform of their length: Sylvester
 * and Paley Hadamard matrices, a DCT where no Hadamard order fits. O(n log n) per row; any width ≥ 1.
 * With random signs it makes weights incoherent (QuIP#, arXiv 2402.04396; methods of ours: both sides of W).
 *
 * @returns `m`
 * @throws ReallmError `bad-tensor` when the number of signs is not the width
 * @example
 * const signs = rotationSigns(1, 'input', 576)
 * hadamard(w, { signs }) // and back: hadamard(w, { signs, inverse: true })
 */
export function hadamard(m: Matrix, options: HadamardOptions = {}): Matrix {
  const { side = 'right', signs, inverse = false } = options
  const size = side === 'right' ? m.cols : m.rows
  if (signs && signs.length !== size) {
    throw new ReallmError(
      'bad-tensor',
      `${size} signs are needed to turn [${m.rows}, ${m.cols}] from the ${side}`,
    )
  }
  if (m.data.length === 0) return m
  if (signs && !inverse) applySigns(m, signs, side)
  transformAxis(m.data, hadamardPlan(size), side === 'right' ? 1 : m.cols)
  if (signs && inverse) applySigns(m, signs, side)
  return m
}

function applySigns(m: Matrix, signs: ArrayLike<number>, side: 'right' | 'left'): void {
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.cols; j++) m.data[i * m.cols + j] *= signs[side === 'right' ? j : i]
  }
}
