import { kmeans } from '@reallm/kernels'
import { type EncodeContext, f16ToF32, f32ToF16, type Matrix } from '@reallm/tensor-io'
import { sampleRows } from '../shared/sample.ts'

/** Sample that the codebook is fitted to: vectors per centroid, and the least in all. */
const SAMPLE = 64
const SMALLEST_SAMPLE = 32768

/**
 * A codebook in its stored precision, fitted by weighted k-means to a sample of the vectors.
 *
 * @param vectors `[n, dim]`
 * @param weights importance of each coordinate, `[n, dim]` flat
 * @returns centroids `[count, dim]` and their f16 codes
 */
export function fitCodebook(
  vectors: Matrix,
  weights: Float32Array,
  count: number,
  { seed, iterations }: Pick<EncodeContext, 'seed'> & { readonly iterations: number },
) {
  const sample = sampleRows(vectors, weights, Math.max(SMALLEST_SAMPLE, SAMPLE * count), seed)
  const { centroids } = kmeans(sample.vectors, count, { seed, iterations, weights: sample.weights })
  const codes = f32ToF16(centroids.data)
  return { codes, centroids: { ...centroids, data: f16ToF32(codes) } }
}
