import { type Matrix, zeroMatrix } from '@reallm/tensor-io'

/**
 * How much each token counts in the Hessian of a projection group, 1 on average: the root of its squared gradient at the
 * group's outputs. (A second-order expansion of the loss has the square itself; docs/research/calibration.md tells why
 * the root is better.) Sequences without gradients get the mean of the others, their first tokens apart, since attention
 * rests on those and they are unlike all others.
 *
 * @param squares of the gradients, `[sequences, positions]`
 * @param known the sequences that have gradients
 */
export function tokenWeights(squares: Matrix, known: readonly number[]): Matrix {
  const { rows, cols } = squares
  const roots = squares.data.map(Math.sqrt)
  const usual = new Float32Array(cols)
  for (const w of known) {
    for (let t = 0; t < cols; t++) usual[Math.min(t, 1)] += roots[w * cols + t] / known.length
  }
  const mean = (usual[0] + usual[1]) / cols || 1
  usual.fill(usual[1] / Math.max(1, cols - 1), 1)
  const weights = zeroMatrix(rows, cols)
  for (let w = 0; w < rows; w++) {
    const from = known.includes(w) ? roots.subarray(w * cols, (w + 1) * cols) : usual
    for (let t = 0; t < cols; t++) weights.data[w * cols + t] = from[t] / mean
  }
  return weights
}
