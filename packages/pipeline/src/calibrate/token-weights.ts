import { type Matrix, zeroMatrix } from '@reallm/tensor-io'

/**
 * How much each token counts in the second moments of a layer's inputs, 1 on average: the root of its squared gradient at
 * the layer's outputs. The square itself is what a second-order expansion of the loss has there, but it is known from one
 * sampled prediction, and a few large ones leave moments little to stand on: of SmolLM2-135M's 24,576 calibration tokens the
 * effective number is 3,700 with squares and 22,000 with roots (medians of all layers, a share of 0.15 added). Windows without
 * gradients count for what the others have on average, their first tokens apart: those are what attention rests on, and are
 * unlike all others.
 *
 * @param squares of the gradients, `[windows, positions]`
 * @param looked the windows that they are known for
 */
export function tokenWeights(squares: Matrix, looked: readonly number[]): Matrix {
  const { rows, cols } = squares
  const roots = squares.data.map(Math.sqrt)
  const usual = new Float32Array(cols)
  for (const w of looked) {
    for (let t = 0; t < cols; t++) usual[Math.min(t, 1)] += roots[w * cols + t] / looked.length
  }
  const mean = (usual[0] + usual[1]) / cols || 1
  usual.fill(usual[1] / Math.max(1, cols - 1), 1)
  const weights = zeroMatrix(rows, cols)
  for (let w = 0; w < rows; w++) {
    const from = looked.includes(w) ? roots.subarray(w * cols, (w + 1) * cols) : usual
    for (let t = 0; t < cols; t++) weights.data[w * cols + t] = from[t] / mean
  }
  return weights
}
