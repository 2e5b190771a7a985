import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { nearestCentroid as twin } from './reference/nearest-centroid.ts'
import { shapeText } from './shapes.ts'

/**
 * Index of the centroid nearest to each point: argmin over j of Σ_l w[l]·(x[i, l] − c[j, l])².
 *
 * @param points `[n, d]`
 * @param centroids `[k, d]`
 * @param weights ≥ 0, `[d]` or `[n, d]` flat; all 1 by default
 * @returns n indices; of equally near centroids the first, up to float32 rounding
 */
export function nearestCentroid(points: Matrix, centroids: Matrix, weights?: Float32Array): Uint32Array {
  if (points.cols !== centroids.cols || centroids.rows === 0) {
    throw new ReallmError(
      'bad-tensor',
      `cannot assign points ${shapeText(points)} to centroids ${shapeText(centroids)}`,
    )
  }
  const { rows: n, cols: d } = points
  if (weights && weights.length !== d && weights.length !== n * d) {
    throw new ReallmError(
      'bad-tensor',
      `points ${shapeText(points)} take ${d} or ${n * d} weights, got ${weights.length}`,
    )
  }
  return twin(points, centroids, weights)
}
