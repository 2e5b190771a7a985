import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'
import { nearestCentroid } from './nearest-centroid.ts'

export interface KmeansOptions {
  readonly seed: number
  /** Rounds of assignment and averaging at the most. Default 25. */
  readonly iterations?: number
  /** Importance of each point's coordinates, `[n, d]` flat, or of each coordinate, `[d]`. */
  readonly weights?: Float32Array
}

/**
 * Lloyd's algorithm from k-means++ seeds on a sample; empty clusters restart at a random point.
 *
 * @param points `[n, d]`
 * @returns centroids `[k, d]` and each point's centroid
 */
export function kmeans(points: Matrix, k: number, { seed, iterations = 25, weights }: KmeansOptions) {
  const rng = random(seed)
  const { rows: n, cols: d } = points
  const centroids = seeds(points, k, rng.uniform)
  let assigned = nearestCentroid(points, centroids, weights)
  for (let round = 0; round < iterations; round++) {
    const sums = new Float64Array(k * d)
    const mass = new Float64Array(k * d)
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < d; j++) {
        const w = weights ? weights[weights.length === d ? j : i * d + j] : 1
        sums[assigned[i] * d + j] += w * points.data[i * d + j]
        mass[assigned[i] * d + j] += w
      }
    }
    for (let c = 0; c < k; c++) {
      const empty = mass[c * d] === 0
      const restart = empty ? rng.integer(n) : 0
      for (let j = 0; j < d; j++) {
        const at = c * d + j
        if (mass[at] > 0) centroids.data[at] = sums[at] / mass[at]
        else if (empty) centroids.data[at] = points.data[restart * d + j]
      }
    }
    const next = nearestCentroid(points, centroids, weights)
    const moved = next.some((c, i) => c !== assigned[i])
    assigned = next
    if (!moved) break
  }
  return { centroids, assigned }
}

/** k-means++ on a sample: each seed is drawn with probability proportional to the squared distance to the ones before. */
function seeds(points: Matrix, k: number, uniform: () => number): Matrix {
  const { rows: n, cols: d } = points
  const size = Math.min(n, Math.max(1024, 8 * k))
  const sample = Array.from({ length: size }, (_, i) => (size === n ? i : Math.floor(uniform() * n)))
  const centroids = zeroMatrix(k, d)
  const distance = new Float64Array(size).fill(Number.POSITIVE_INFINITY)
  let chosen = sample[Math.floor(uniform() * size)]
  for (let c = 0; c < k; c++) {
    centroids.data.set(points.data.subarray(chosen * d, (chosen + 1) * d), c * d)
    let total = 0
    for (let i = 0; i < size; i++) {
      let squares = 0
      for (let j = 0; j < d; j++) squares += (points.data[sample[i] * d + j] - centroids.data[c * d + j]) ** 2
      distance[i] = Math.min(distance[i], squares)
      total += distance[i]
    }
    let left = uniform() * total
    let pick = 0
    while (pick < size - 1 && (left -= distance[pick]) > 0) pick++
    chosen = sample[pick]
  }
  return centroids
}
