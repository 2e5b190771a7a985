import { beamSearch, type Codebooks, kmeans } from '@reallm/kernels'
import { breather, type EncodeContext, type Matrix, type ParamsOf, zeroMatrix } from '@reallm/tensor-io'
import type { additiveLayout } from '@reallm/tensor-io/layouts'
import { sampleRows } from '../shared/sample.ts'
import { sumsOf } from './sums.ts'

/** Sample that codebooks are fitted to: vectors per codeword, and the least in all. */
const SAMPLE = 64
const SMALLEST_SAMPLE = 16384

/**
 * Fits codebooks to vectors: residual k-means first, then rounds of codes by beam search and codebooks by weighted least
 * squares.
 *
 * @param vectors `[n, dim]`
 * @param weights importance of each coordinate, flat
 */
export async function fitCodebooks(
  vectors: Matrix,
  weights: Float32Array,
  params: ParamsOf<typeof additiveLayout>,
  ctx: EncodeContext,
): Promise<Codebooks> {
  const breathe = breather(ctx)
  const { codebooks: count, dim, beam, rounds } = params
  const size = 2 ** params.codebookBits
  const sample = sampleRows(vectors, weights, Math.max(SMALLEST_SAMPLE, SAMPLE * size), ctx.seed)
  const books: Codebooks = { vectors: zeroMatrix(count * size, dim), count, size }
  const left = { ...sample.vectors, data: sample.vectors.data.slice() }
  for (let m = 0; m < count; m++) {
    await breathe()
    const stage = kmeans(left, size, { seed: ctx.seed + m, iterations: 12, weights: sample.weights })
    books.vectors.data.set(stage.centroids.data, m * size * dim)
    for (let i = 0; i < left.data.length; i++) {
      left.data[i] -= stage.centroids.data[stage.assigned[Math.floor(i / dim)] * dim + (i % dim)]
    }
  }
  for (let round = 0; round < rounds; round++) {
    await breathe()
    const codes = beamSearch(books, beam)(sample.vectors)
    for (let m = 0; m < count; m++) refit(books, m, codes, sample.vectors, sample.weights)
    ctx.onProgress?.({ event: 'round-end', done: round + 1, total: rounds })
  }
  return books
}

/** Least-squares codebook `m` with all codes and the other codebooks fixed. */
function refit(books: Codebooks, m: number, codes: Uint16Array, x: Matrix, weights: Float32Array): void {
  const { cols: dim, data } = books.vectors
  const { count, size } = books
  const sums = sumsOf(codes, books).data
  const shift = new Float64Array(size * dim)
  const mass = new Float64Array(size * dim)
  for (let i = 0; i < x.rows; i++) {
    const to = codes[i * count + m] * dim
    for (let j = 0; j < dim; j++) {
      const weight = weights[i * dim + j]
      shift[to + j] += weight * (x.data[i * dim + j] - sums[i * dim + j])
      mass[to + j] += weight
    }
  }
  for (let i = 0; i < shift.length; i++) if (mass[i] > 0) data[m * size * dim + i] += shift[i] / mass[i]
}
