import { matmul, svd } from '@reallm/kernels'
import { decaying, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { randomizedSvd } from './randomized-svd.ts'

test.each([
  [40, 90],
  [90, 40],
  [12, 12],
])('leading singular triples of a [%i, %i] matrix', (rows, cols) => {
  const a = decaying(rows, cols, 0.8, 1)
  const { u, s, v } = randomizedSvd(a, 5, { seed: 3 })
  for (let k = 0; k < 5; k++) expect(s[k]).toBeCloseTo(0.8 ** k, 3)
  const back = matmul(matmul(u, a, { transposeA: true }), v)
  for (let i = 0; i < 25; i++) expect(back.data[i]).toBeCloseTo(i % 6 === 0 ? s[i / 6] : 0, 4)
})

test('power iterations come close to the best error where singular values fall slowly', () => {
  const a = normals(80, 120, 1)
  const best = svd(a)
    .s.slice(8)
    .reduce((sum, s) => sum + s * s, 0)
  const total = svd(a).s.reduce((sum, s) => sum + s * s, 0)
  const errorAt = (powerIterations: number) =>
    total - randomizedSvd(a, 8, { seed: 2, powerIterations }).s.reduce((sum, s) => sum + s * s, 0)
  expect(errorAt(4)).toBeLessThan(1.02 * best)
  expect(errorAt(4)).toBeLessThan(errorAt(0))
})

test('the same seed gives the same factors', () => {
  const a = decaying(40, 60, 0.9, 1)
  expect(randomizedSvd(a, 4, { seed: 7 })).toEqual(randomizedSvd(a, 4, { seed: 7 }))
})

test('refuses a rank that does not fit', () => {
  expect(() => randomizedSvd(normals(4, 6, 1), 5)).toThrow('a [4, 6] matrix cannot have rank 5')
})
