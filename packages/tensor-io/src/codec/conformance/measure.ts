import { random } from '../../core/random.ts'
import type { Matrix } from '../../core/tensor.ts'

/** Unit normal weights. */
export function normals(rows: number, cols: number, seed: number): Matrix {
  const rng = random(seed)
  return { rows, cols, data: Float32Array.from({ length: rows * cols }, () => rng.normal()) }
}

/** Squared error of `b`, relative to the energy of `a`. */
export function relativeError(a: Matrix, b: Matrix): number {
  let error = 0
  let energy = 0
  for (let i = 0; i < a.data.length; i++) {
    error += (a.data[i] - b.data[i]) ** 2
    energy += a.data[i] ** 2
  }
  return error / energy
}
