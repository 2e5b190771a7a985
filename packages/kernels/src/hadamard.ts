import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { type HadamardFactor, hadamardPlan } from './hadamard-plan.ts'

export interface HadamardOptions {
  /** Undo the transform. */
  readonly inverse?: boolean
  /** ±1 per column: multiplied before the transform, after its inverse. */
  readonly signs?: Int8Array
}

/**
 * Multiplies every row by the orthogonal transform of its width, in place: `x ← (x ⊙ s) Tᵀ`, or `x ← (x T) ⊙ s` for the
 * inverse. O(n log n) per row where the width is a power of two times small factors.
 *
 * @param m `[rows, n]`, any n
 * @throws ReallmError `bad-option` when there are not as many signs as columns
 */
export function hadamard(m: Matrix, { inverse = false, signs }: HadamardOptions = {}): Matrix {
  if (signs && signs.length !== m.cols) {
    throw new ReallmError('bad-option', `${m.cols} columns need as many signs, got ${signs.length}`)
  }
  const plan = hadamardPlan(m.cols)
  const scratch = new Float32Array(Math.max(...plan.map(f => f.size)))
  for (let row = 0; row < m.rows; row++) {
    const x = m.data.subarray(row * m.cols, (row + 1) * m.cols)
    if (signs && !inverse) for (let i = 0; i < x.length; i++) x[i] *= signs[i]
    let stride = 1
    for (const factor of plan) {
      if (factor.matrix) multiplyAxis(x, stride, factor, factor.matrix, inverse, scratch)
      else butterflies(x, stride, factor.size)
      stride *= factor.size
    }
    if (signs && inverse) for (let i = 0; i < x.length; i++) x[i] *= signs[i]
  }
  return m
}

/** Sylvester's transform along one axis of a row. */
function butterflies(x: Float32Array, stride: number, size: number): void {
  const scale = 1 / Math.sqrt(size)
  for (let half = stride; half < stride * size; half *= 2) {
    for (let from = 0; from < x.length; from += 2 * half) {
      for (let i = from; i < from + half; i++) {
        const [a, b] = [x[i], x[i + half]]
        x[i] = a + b
        x[i + half] = a - b
      }
    }
  }
  for (let i = 0; i < x.length; i++) x[i] *= scale
}

function multiplyAxis(
  x: Float32Array,
  stride: number,
  { size }: HadamardFactor,
  matrix: Float32Array,
  transposed: boolean,
  scratch: Float32Array,
): void {
  for (let from = 0; from < x.length; from += stride * size) {
    for (let i = from; i < from + stride; i++) {
      for (let r = 0; r < size; r++) {
        let sum = 0
        for (let c = 0; c < size; c++) {
          sum += matrix[transposed ? c * size + r : r * size + c] * x[i + c * stride]
        }
        scratch[r] = sum
      }
      for (let r = 0; r < size; r++) x[i + r * stride] = scratch[r]
    }
  }
}
