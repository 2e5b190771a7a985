import { eigh, gram, kmeans, matmul, nearestCentroid, transpose } from '@reallm/kernels'
import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { firstColumns } from '../randomized-svd.ts'

/** Codewords in a low-dimensional space and the projection that decodes them: row k of `C P` is codeword k. */
export interface ProjectedCodebook {
  /** C `[K, d̃]`. */
  readonly codebook: Matrix
  /** P `[d̃, d]`, orthonormal rows. */
  readonly projection: Matrix
  /** Code of each point. */
  readonly codes: Uint32Array
}

/** Options of a codebook that is projected to low rank. */
export interface ProjectedCodebookOptions {
  /** K: codewords. */
  readonly size: number
  /** d̃: dimensions of the codewords, at most d. */
  readonly dim: number
  readonly seed: number
  /** Rounds of assignment and refit; 12 by default. */
  readonly iterations?: number | undefined
}

/**
 * Vector quantisation in a learned low-dimensional space (LR²VQ, arXiv 2211.11397): alternates nearest codewords with the
 * exact least squares of `C` and `P` together, which is the weighted principal subspace of the cluster means. Starts from
 * k-means in the principal subspace of the points. The error never rises.
 *
 * @param points `[n, d]`
 * @throws ReallmError `bad-option` when `dim` is larger than d
 * @example
 * const { codebook, projection, codes } = projectedCodebook(points, { size: 256, dim: 3, seed: 1 })
 */
export function projectedCodebook(points: Matrix, options: ProjectedCodebookOptions): ProjectedCodebook {
  const { size, dim, seed, iterations = 12 } = options
  if (dim > points.cols) {
    throw new ReallmError(
      'bad-option',
      `codewords of ${dim} dimensions cannot decode to ${points.cols} weights`,
      {
        hint: `use 1 to ${points.cols}`,
      },
    )
  }
  let projection = principal(gram(points), dim)
  let codebook = kmeans(matmul(points, projection, { transposeB: true }), size, {
    seed,
    iterations: 8,
  }).centroids
  let codes = nearestCentroid(points, matmul(codebook, projection))
  for (let round = 0; round < iterations; round++) {
    const { means, counts } = clusterMeans(points, codes, size)
    const weighted = {
      ...means,
      data: means.data.map((v, i) => v * Math.sqrt(counts[Math.floor(i / means.cols)])),
    }
    projection = principal(gram(weighted), dim)
    const fitted = matmul(means, projection, { transposeB: true })
    // An empty cluster moves to a pseudo-random point.
    for (let k = 0; k < size; k++) {
      if (counts[k] > 0) continue
      const point = (seed + 7919 * (k + 1) * (round + 1)) % points.rows
      const own = {
        rows: 1,
        cols: points.cols,
        data: points.data.subarray(point * points.cols, (point + 1) * points.cols),
      }
      fitted.data.set(matmul(own, projection, { transposeB: true }).data, k * dim)
    }
    codebook = fitted
    const next = nearestCentroid(points, matmul(codebook, projection))
    const moved = next.some((code, i) => code !== codes[i])
    codes = next
    if (!moved) break
  }
  return { codebook, projection, codes }
}

/** The leading eigenvectors of a Gram matrix `[d, d]`, in rows: `[dim, d]`. */
const principal = (gram: Matrix, dim: number): Matrix => transpose(firstColumns(eigh(gram).vectors, dim))

function clusterMeans(points: Matrix, codes: Uint32Array, size: number) {
  const { cols } = points
  const counts = new Float64Array(size)
  const sums = new Float64Array(size * cols)
  for (let i = 0; i < codes.length; i++) {
    counts[codes[i]]++
    for (let j = 0; j < cols; j++) sums[codes[i] * cols + j] += points.data[i * cols + j]
  }
  const means = zeroMatrix(size, cols)
  for (let i = 0; i < sums.length; i++) {
    const count = counts[Math.floor(i / cols)]
    if (count > 0) means.data[i] = sums[i] / count
  }
  return { means, counts }
}
