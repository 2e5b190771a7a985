import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { type Engine, engine, floats, reserve } from './engine.ts'
import { nearestCentroid as reference, weightStep } from './reference/nearest-centroid.ts'
import { shapeText } from './shapes.ts'

/** Points that are copied to the kernels' memory at a time. */
const BATCH = 262144

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
  const e = n * centroids.rows < 64 ? undefined : engine()
  if (!e) return reference(points, centroids, weights)
  const nearest = new Uint32Array(n)
  for (let from = 0; from < n; from += BATCH) assignBatch(e, points, from, centroids, weights, nearest)
  return nearest
}

function assignBatch(
  e: Engine,
  points: Matrix,
  from: number,
  centroids: Matrix,
  weights: Float32Array | undefined,
  nearest: Uint32Array,
): void {
  const { rows: k, cols: d } = centroids
  const n = Math.min(BATCH, points.rows - from)
  const padded = Math.ceil(k / 4) * 4
  const step = weightStep(points, weights)
  const weightCount = weights ? (step > 0 ? n * d : d) : 0
  const [px, pc, pw, po] = reserve(e, 4 * n * d, 4 * padded * d, 4 * weightCount, 4 * n)
  floats(e, px, n * d).set(points.data.subarray(from * d, (from + n) * d))
  const columns = floats(e, pc, padded * d).fill(Number.POSITIVE_INFINITY)
  for (let j = 0; j < k; j++) for (let l = 0; l < d; l++) columns[l * padded + j] = centroids.data[j * d + l]
  if (weights) {
    const first = step > 0 ? from * d : 0
    floats(e, pw, weightCount).set(weights.subarray(first, first + weightCount))
  }
  e.kernels.nearestCentroid(px, pc, weights ? pw : 0, step, n, d, padded, po)
  nearest.set(new Uint32Array(e.memory.buffer, po, n), from)
}
