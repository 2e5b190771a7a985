import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { matmul } from './matmul.ts'
import { shapeText } from './shapes.ts'

/** Points multiplied with the codebook at a time. */
const BATCH = 512

/**
 * Index of each point's nearest centroid, by squared distance with an optional weight per coordinate; the lowest index wins a tie.
 *
 * @param points `[n, d]`
 * @param centroids `[k, d]`
 * @param weights `[d]`, or `[n, d]` as a flat array
 */
export function nearestCentroid(points: Matrix, centroids: Matrix, weights?: Float32Array): Uint32Array {
  const { rows: n, cols: d } = points
  if (centroids.cols !== d || centroids.rows < 1) {
    throw new ReallmError(
      'bad-tensor',
      `points ${shapeText(points)} do not fit centroids ${shapeText(centroids)}`,
    )
  }
  if (weights && weights.length !== d && weights.length !== n * d) {
    throw new ReallmError(
      'bad-tensor',
      `${n} points of ${d} take ${d} or ${n * d} weights, got ${weights.length}`,
    )
  }
  // ‖x − c‖²_w = Σ w x² − 2 Σ w x c + Σ w c²; the first term is the same for all centroids.
  const nearest = new Uint32Array(n)
  const features = { rows: centroids.rows, cols: 2 * d, data: new Float32Array(centroids.rows * 2 * d) }
  for (let k = 0; k < centroids.rows; k++) {
    for (let j = 0; j < d; j++) {
      const c = centroids.data[k * d + j]
      features.data[k * 2 * d + j] = -2 * c
      features.data[k * 2 * d + d + j] = c * c
    }
  }
  for (let from = 0; from < n; from += BATCH) {
    const rows = Math.min(BATCH, n - from)
    const x = { rows, cols: 2 * d, data: new Float32Array(rows * 2 * d) }
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < d; j++) {
        const w = weights ? weights[weights.length === d ? j : (from + i) * d + j] : 1
        x.data[i * 2 * d + j] = w * points.data[(from + i) * d + j]
        x.data[i * 2 * d + d + j] = w
      }
    }
    const distances = matmul(x, features, { transposeB: true }).data
    for (let i = 0; i < rows; i++) {
      let best = 0
      const at = i * centroids.rows
      for (let k = 1; k < centroids.rows; k++) if (distances[at + k] < distances[at + best]) best = k
      nearest[from + i] = best
    }
  }
  return nearest
}
