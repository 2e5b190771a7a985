import {
  type LongWork,
  type Matrix,
  ReallmError,
  random,
  throwIfAborted,
  zeroMatrix,
} from '@reallm/tensor-io'
import { nearestCentroid } from './nearest-centroid.ts'
import { weightStep } from './reference/nearest-centroid.ts'

/** Options of `kmeans`. */
export interface KmeansOptions extends LongWork {
  readonly seed: number
  /** Rounds of assignment and update; 25 by default. Stops earlier when nothing moves. */
  readonly iterations?: number | undefined
  /** Importance (≥ 0) of each coordinate, `[d]`, or of each point's coordinates, `[n, d]` flat. */
  readonly weights?: Float32Array | undefined
  /** Centroids to start from instead of k-means++. */
  readonly init?: Matrix | undefined
}

/** Centroids, and the one of each vector. */
export interface Kmeans {
  /** `[k, d]` */
  readonly centroids: Matrix
  /** Nearest centroid of each point. */
  readonly assigned: Uint32Array
  /** Σ of weighted squared distances. */
  readonly error: number
}

/** Points that k-means++ looks at, a random sample. */
const SAMPLE = 16384
/** MACs that a k-means++ start may take. */
const MOST_WORK = 4e8

/**
 * Lloyd's algorithm from a k-means++ start; empty clusters move to the points with the largest errors.
 *
 * @param points `[n, d]`; with fewer than k points some centroids are equal
 * @example
 * const { centroids, assigned } = kmeans(points, 256, { seed: 1 })
 */
export function kmeans(points: Matrix, k: number, options: KmeansOptions): Kmeans {
  if (!Number.isInteger(k) || k < 1 || points.rows === 0) {
    throw new ReallmError(
      'bad-option',
      `k-means needs k ≥ 1 and points, got k = ${k}, [${points.rows}, ${points.cols}]`,
    )
  }
  const { seed, iterations = 25, weights, signal, onProgress } = options
  let centroids = options.init ?? starts(points, k, seed, weights)
  let assignment = nearestCentroid(points, centroids, weights)
  for (let i = 0; i < iterations; i++) {
    throwIfAborted(signal)
    centroids = updated(points, centroids, assignment, weights)
    const next = nearestCentroid(points, centroids, weights)
    const moved = next.some((c, p) => c !== assignment[p])
    assignment = next
    onProgress?.({ event: 'step-end', done: i + 1, total: iterations })
    if (!moved) break
  }
  const error = errors(points, centroids, assignment, weights).reduce((sum, e) => sum + e, 0)
  return { centroids, assigned: assignment, error }
}

/** k-means++, or points drawn at random where k-means++ would take as long as the iterations. */
function starts(points: Matrix, k: number, seed: number, weights: Float32Array | undefined): Matrix {
  const { rows, cols: d } = points
  if (Math.min(rows, SAMPLE) * k * d <= MOST_WORK) return plusPlus(points, k, seed, weights)
  const { integer } = random(seed)
  const centroids = zeroMatrix(k, d)
  for (let c = 0; c < k; c++) {
    const i = integer(rows)
    centroids.data.set(points.data.subarray(i * d, (i + 1) * d), c * d)
  }
  return centroids
}

function plusPlus(points: Matrix, k: number, seed: number, weights: Float32Array | undefined): Matrix {
  const d = points.cols
  const stream = random(seed)
  const size = Math.min(points.rows, SAMPLE)
  const sample =
    size === points.rows
      ? Array.from({ length: size }, (_, i) => i)
      : Array.from({ length: size }, () => stream.integer(points.rows))
  const centroids = zeroMatrix(k, d)
  const distances = new Float64Array(size).fill(Infinity)
  let chosen = sample[stream.integer(size)]
  for (let c = 0; c < k; c++) {
    const centroid = points.data.subarray(chosen * d, (chosen + 1) * d)
    centroids.data.set(centroid, c * d)
    let total = 0
    for (let i = 0; i < size; i++) {
      distances[i] = Math.min(distances[i], squaredDistance(points, sample[i], centroid, weights))
      total += distances[i]
    }
    let rest = stream.uniform() * total
    let i = 0
    while (i < size - 1 && (rest -= distances[i]) > 0) i++
    chosen = sample[i]
  }
  return centroids
}

function squaredDistance(
  points: Matrix,
  i: number,
  to: Float32Array,
  weights: Float32Array | undefined,
): number {
  const d = points.cols
  const step = weightStep(points, weights)
  let sum = 0
  for (let l = 0; l < d; l++) {
    const delta = points.data[i * d + l] - to[l]
    sum += weights ? weights[i * step + l] * delta * delta : delta * delta
  }
  return sum
}

function updated(
  points: Matrix,
  old: Matrix,
  assignment: Uint32Array,
  weights: Float32Array | undefined,
): Matrix {
  const d = points.cols
  const step = weightStep(points, weights)
  const sums = new Float64Array(old.data.length)
  const masses = new Float64Array(old.data.length)
  const counts = new Uint32Array(old.rows)
  for (let i = 0; i < points.rows; i++) {
    const to = assignment[i] * d
    counts[assignment[i]]++
    for (let l = 0; l < d; l++) {
      const weight = weights ? weights[i * step + l] : 1
      sums[to + l] += weight * points.data[i * d + l]
      masses[to + l] += weight
    }
  }
  const centroids = zeroMatrix(old.rows, d)
  for (let i = 0; i < sums.length; i++) centroids.data[i] = masses[i] > 0 ? sums[i] / masses[i] : old.data[i]
  refill(points, old, centroids, counts, assignment, weights)
  return centroids
}

/** Moves empty clusters to the points with the largest errors. */
function refill(
  points: Matrix,
  old: Matrix,
  centroids: Matrix,
  counts: Uint32Array,
  assignment: Uint32Array,
  weights: Float32Array | undefined,
): void {
  const empty = [...counts.keys()].filter(c => counts[c] === 0)
  if (empty.length === 0) return
  const error = errors(points, old, assignment, weights)
  const worst = [...error.keys()].sort((a, b) => error[b] - error[a] || a - b)
  const d = points.cols
  for (const [rank, c] of empty.entries()) {
    const p = worst[rank]
    if (p === undefined || error[p] === 0) break
    centroids.data.set(points.data.subarray(p * d, (p + 1) * d), c * d)
  }
}

function errors(
  points: Matrix,
  centroids: Matrix,
  assignment: Uint32Array,
  weights: Float32Array | undefined,
) {
  const d = points.cols
  return Float64Array.from(assignment, (c, i) =>
    squaredDistance(points, i, centroids.data.subarray(c * d, (c + 1) * d), weights),
  )
}
