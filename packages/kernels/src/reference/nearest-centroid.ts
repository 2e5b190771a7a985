import type { Matrix } from '@reallm/tensor-io'

/** A weight of 1, per coordinate or per point and coordinate, as `weights[i·step + l]`. */
export function weightStep({ cols }: Matrix, weights: Float32Array | undefined): number {
  return weights && weights.length !== cols ? cols : 0
}

/** Reference implementation of `nearestCentroid`: float64 distances; the first of equal centroids; 0 for points that hold NaN. */
export function nearestCentroid(points: Matrix, centroids: Matrix, weights?: Float32Array): Uint32Array {
  const { rows: n, cols: d, data: x } = points
  const { rows: k, data: c } = centroids
  const step = weightStep(points, weights)
  const nearest = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    let least = Infinity
    for (let j = 0; j < k; j++) {
      let distance = 0
      for (let l = 0; l < d; l++) {
        const delta = x[i * d + l] - c[j * d + l]
        distance += weights ? weights[i * step + l] * delta * delta : delta * delta
      }
      if (distance < least) {
        least = distance
        nearest[i] = j
      }
    }
  }
  return nearest
}
