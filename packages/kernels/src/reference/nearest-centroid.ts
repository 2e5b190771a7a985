import type { Matrix } from '@reallm/tensor-io'

/** Twin of `nearestCentroid`: float64 distances; the first of equal centroids; 0 for points that hold NaN. */
export function nearestCentroid(points: Matrix, centroids: Matrix, weights?: Matrix): Uint32Array {
  const { rows: n, cols: d, data: x } = points
  const { rows: k, data: c } = centroids
  const nearest = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    let least = Infinity
    for (let j = 0; j < k; j++) {
      let distance = 0
      for (let l = 0; l < d; l++) {
        const delta = x[i * d + l] - c[j * d + l]
        distance += weights ? weights.data[i * d + l] * delta * delta : delta * delta
      }
      if (distance < least) {
        least = distance
        nearest[i] = j
      }
    }
  }
  return nearest
}
