import { type Matrix, matrix } from '@reallm/tensor-io'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomMatrix, withReference } from '../test/random-matrix.ts'
import { kmeans } from './kmeans.ts'
import { nearestCentroid } from './nearest-centroid.ts'

const cost = (
  points: Matrix,
  i: number,
  centroids: Matrix,
  c: number,
  weights: Float32Array | undefined,
): number => {
  const d = points.cols
  let sum = 0
  for (let l = 0; l < d; l++) {
    const w = weights ? weights[weights.length === d ? l : i * d + l] : 1
    sum += w * (points.data[i * d + l] - centroids.data[c * d + l]) ** 2
  }
  return sum
}

test('the kernel’s centroids are as near as the reference’s', () => {
  const sizes = fc.tuple(
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 1, max: 9 }),
    fc.constantFrom('none', 'shared', 'own'),
  )
  fc.assert(
    fc.property(sizes, ([n, k, d, weighting]) => {
      const [points, centroids] = [randomMatrix(n, d, k), randomMatrix(k, d, n)]
      const count = weighting === 'none' ? 0 : weighting === 'shared' ? d : n * d
      const weights = count ? randomMatrix(1, count, 7).data.map(Math.abs) : undefined
      const found = nearestCentroid(points, centroids, weights)
      const wanted = withReference(() => nearestCentroid(points, centroids, weights))
      for (let i = 0; i < n; i++) {
        expect(found[i]).toBeLessThan(k)
        const least = cost(points, i, centroids, wanted[i], weights)
        expect(cost(points, i, centroids, found[i], weights)).toBeLessThanOrEqual(least * 1.00001 + 1e-9)
      }
    }),
    { numRuns: 60, seed: 1 },
  )
})

test('points that hold NaN get centroid 0; of equal centroids the first is taken', () => {
  const points = randomMatrix(40, 3)
  points.data[3] = Number.NaN
  const centroids = matrix(new Float32Array(30).fill(2), [10, 3])
  expect([...nearestCentroid(points, centroids)]).toEqual(Array(40).fill(0))
})

test('shapes that do not fit are refused', () => {
  expect(() => nearestCentroid(randomMatrix(2, 3), randomMatrix(2, 4))).toThrow(
    'points [2, 3] to centroids [2, 4]',
  )
  expect(() => nearestCentroid(randomMatrix(2, 3), randomMatrix(2, 3), new Float32Array(5))).toThrow(
    'take 3 or 6 weights',
  )
})

test('k-means separates clusters, repeats itself and lowers the error', () => {
  const centres = randomMatrix(8, 2, 9)
  const points = randomMatrix(400, 2)
  points.data.forEach((v, i, data) => {
    data[i] = 0.05 * v + 10 * centres.data[((i >> 1) % 8) * 2 + (i % 2)]
  })
  const { centroids, assigned, error } = kmeans(points, 8, { seed: 1 })
  expect(error / 400).toBeLessThan(0.02)
  for (let i = 8; i < 400; i++) expect(assigned[i]).toBe(assigned[i % 8])
  expect(kmeans(points, 8, { seed: 1 })).toEqual({ centroids, assigned, error })
  const first = kmeans(randomMatrix(300, 4), 16, { seed: 1, iterations: 1 })
  expect(kmeans(randomMatrix(300, 4), 16, { seed: 1 }).error).toBeLessThan(first.error)
})

test('k-means with weights, with fewer points than centroids, and stopped', () => {
  const points = matrix([0, 1, 10], [3, 1])
  const { centroids, error } = kmeans(points, 1, { seed: 1, weights: Float32Array.of(1, 1, 0) })
  expect(centroids.data[0]).toBeCloseTo(0.5)
  expect(error).toBeCloseTo(0.5)
  expect(kmeans(points, 5, { seed: 1 }).error).toBe(0)
  expect(() => kmeans(points, 0, { seed: 1 })).toThrow('k ≥ 1')
  expect(() => kmeans(points, 2, { seed: 1, signal: AbortSignal.abort() })).toThrow('stopped on request')
})
