import { type Matrix, random } from '@reallm/tensor-io'

/** At most `count` random rows of `vectors` with their weights. */
export function sampleRows(vectors: Matrix, weights: Float32Array, count: number, seed: number) {
  const { rows, cols } = vectors
  if (rows <= count) return { vectors, weights }
  const rng = random(seed)
  const data = new Float32Array(count * cols)
  const chosen = new Float32Array(count * cols)
  for (let i = 0; i < count; i++) {
    const at = rng.integer(rows) * cols
    data.set(vectors.data.subarray(at, at + cols), i * cols)
    chosen.set(weights.subarray(at, at + cols), i * cols)
  }
  return { vectors: { rows: count, cols, data }, weights: chosen }
}
