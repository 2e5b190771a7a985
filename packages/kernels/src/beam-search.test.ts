import { type Matrix, matrix } from '@reallm/tensor-io'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomMatrix, withReference } from '../test/random-matrix.ts'
import { beamSearch, type Codebooks } from './beam-search.ts'

function errorOf(
  targets: Matrix,
  i: number,
  { vectors, count, size }: Codebooks,
  codes: Uint16Array,
): number {
  let error = 0
  for (let l = 0; l < targets.cols; l++) {
    let sum = 0
    for (let m = 0; m < count; m++) sum += vectors.data[(m * size + codes[i * count + m]) * targets.cols + l]
    error += (targets.data[i * targets.cols + l] - sum) ** 2
  }
  return error
}

const booksOf = (count: number, size: number, dim: number): Codebooks => ({
  vectors: randomMatrix(count * size, dim, count + size),
  count,
  size,
})

test('the kernel’s sums are as near as the reference’s', () => {
  const sizes = fc.tuple(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom(4, 16, 20),
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 6 }),
  )
  fc.assert(
    fc.property(sizes, ([n, count, size, dim, beam]) => {
      const [targets, books] = [randomMatrix(n, dim, 3), booksOf(count, size, dim)]
      const found = beamSearch(books, beam)(targets)
      const wanted = withReference(() => beamSearch(books, beam)(targets))
      const total = (codes: Uint16Array) =>
        Array.from({ length: n }, (_, i) => errorOf(targets, i, books, codes)).reduce((a, b) => a + b)
      expect(total(found)).toBeCloseTo(total(wanted), 2)
    }),
    { numRuns: 40, seed: 1 },
  )
})

test('a beam as wide as all sums finds the best of them', () => {
  const [targets, books] = [randomMatrix(30, 3, 7), booksOf(2, 8, 3)]
  const codes = beamSearch(books, 64)(targets)
  for (let i = 0; i < targets.rows; i++) {
    const all = Array.from({ length: 64 }, (_, s) => {
      const pair = new Uint16Array(2 * (i + 1))
      pair.set([s >> 3, s & 7], 2 * i)
      return errorOf(targets, i, books, pair)
    })
    expect(errorOf(targets, i, books, codes)).toBeLessThanOrEqual(Math.min(...all) * 1.0001 + 1e-6)
  }
})

test('codebooks that do not fit are refused', () => {
  const vectors = matrix(new Float32Array(30), [10, 3])
  expect(() => beamSearch({ vectors, count: 2, size: 5 }, 2)).toThrow('2 codebooks of 5 in [10, 3]')
})
