import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { copyIn, copyOut } from './copy-block.ts'
import { type Engine, engine, floats, reserve } from './engine.ts'
import { factorMatrix, type HadamardFactor, hadamardPlan } from './hadamard-plan.ts'
import { transformAxis } from './reference/hadamard.ts'

/** Options of `hadamard`. */
export interface HadamardOptions {
  /** `right` (default): every row x becomes (x ⊙ signs) T. `left`: every column, T (signs ⊙ x). */
  readonly side?: 'right' | 'left' | undefined
  /** ±1 for each entry, see `rotationSigns`; all +1 by default. */
  readonly signs?: ArrayLike<number> | undefined
  /** Undo the transform that the same options make. */
  readonly inverse?: boolean | undefined
}

/**
 * Hadamard rotation: multiplies the rows (or columns) of a matrix, in place, by a fixed symmetric orthogonal matrix of their
 * length, a Kronecker product of Sylvester and Paley Hadamard matrices and a DCT where no Hadamard order fits.
 * O(n log n) per row; any width ≥ 1. With random signs it makes weights incoherent (QuIP#, arXiv 2402.04396 §3).
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
      `${size} signs are needed to rotate [${m.rows}, ${m.cols}] from the ${side}`,
    )
  }
  if (m.data.length === 0) return m
  if (signs && !inverse) applySigns(m, signs, side)
  transform(m, hadamardPlan(size), side)
  if (signs && inverse) applySigns(m, signs, side)
  return m
}

/** Floats that are copied to the kernels' memory at a time. */
const CHUNK = 1 << 22

function transform(m: Matrix, plan: readonly HadamardFactor[], side: 'right' | 'left'): void {
  const e = engine()
  const { rows, cols } = m
  if (!e) {
    transformAxis(m.data, plan, side === 'right' ? 1 : cols)
  } else if (side === 'right') {
    const height = Math.max(1, Math.floor(CHUNK / cols))
    for (let i = 0; i < rows; i += height)
      transformBlock(e, m, plan, 1, i, 0, Math.min(height, rows - i), cols)
  } else {
    const width = Math.max(4, Math.floor(CHUNK / rows) & ~3)
    for (let j = 0; j < cols; j += width) {
      const count = Math.min(width, cols - j)
      transformBlock(e, m, plan, count, 0, j, rows, count)
    }
  }
}

function transformBlock(
  e: Engine,
  m: Matrix,
  plan: readonly HadamardFactor[],
  inner: number,
  row: number,
  col: number,
  rows: number,
  cols: number,
): void {
  const count = rows * cols
  const most = plan.reduce((n, f) => (f.kind === 'sylvester' ? n : Math.max(n, f.size)), 0)
  const [data, h, scratch] = reserve(e, 4 * count, 4 * most * most, 16 * most)
  copyIn(e, data, m, row, col, rows, cols)
  let stride = plan.reduce((product, { size }) => product * size, inner)
  for (const factor of plan) {
    const { size } = factor
    stride /= size
    if (factor.kind === 'sylvester') {
      e.kernels.butterflies(data, count, size, stride, 1 / Math.sqrt(size))
    } else {
      floats(e, h, size * size).set(factorMatrix(factor))
      e.kernels.denseFactor(data, count, h, size, stride, scratch)
    }
  }
  copyOut(e, data, m, row, col, rows, cols)
}

function applySigns({ rows, cols, data }: Matrix, signs: ArrayLike<number>, side: 'right' | 'left'): void {
  for (let i = 0, at = 0; i < rows; i++, at += cols) {
    if (side === 'right') for (let j = 0; j < cols; j++) data[at + j] *= signs[j]
    else if (signs[i] < 0) for (let j = 0; j < cols; j++) data[at + j] = -data[at + j]
  }
}
