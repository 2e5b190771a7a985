import { matrix, zeroMatrix } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { distance, identity, randomMatrix, withReference } from '../test/random-matrix.ts'
import { eigh } from './eigh.ts'
import { gram } from './gram.ts'
import { matmul } from './matmul.ts'
import { qr } from './qr.ts'
import { svd } from './svd.ts'

test.each([1, 2, 3, 8, 9, 10, 33, 70, 130])('eigenvectors of size %i multiply back', n => {
  const h = gram(randomMatrix(n + 5, n))
  const { values, vectors } = eigh(h)
  const scaled = matrix(
    vectors.data.map((v, i) => v * values[i % n]),
    [n, n],
  )
  expect(distance(matmul(scaled, vectors, { transposeB: true }), h)).toBeLessThan(1e-5 * values[0] + 1e-6)
  expect(distance(gram(vectors), identity(n))).toBeLessThan(1e-5)
  expect([...values]).toEqual([...values].sort((a, b) => b - a))
  expect(distance({ data: values }, { data: withReference(() => eigh(h).values) })).toBeLessThan(
    1e-6 * values[0],
  )
})

test('diagonal, zero and repeated eigenvalues', () => {
  expect(eigh(zeroMatrix(12, 12)).values.every(v => v === 0)).toBe(true)
  expect([...eigh(identity(12)).values]).toEqual(Array(12).fill(1))
  const ones = matrix(new Float32Array(400).fill(1), [20, 20])
  const { values, vectors } = eigh(ones)
  expect(values[0]).toBeCloseTo(20, 5)
  expect(distance(gram(vectors), identity(20))).toBeLessThan(1e-5)
  ones.data[3] = Number.NaN
  expect(() => eigh(ones)).toThrow('NaN')
})

test.each([
  [5, 5],
  [40, 7],
  [7, 40],
  [1, 3],
  [129, 64],
])('svd of [%i, %i]', (m, n) => {
  const a = randomMatrix(m, n)
  const { u, s, v } = svd(a)
  const r = Math.min(m, n)
  const scaled = matrix(
    u.data.map((x, i) => x * s[i % r]),
    [m, r],
  )
  expect(distance(matmul(scaled, v, { transposeB: true }), a)).toBeLessThan(1e-5)
  expect(distance(gram(u), identity(r))).toBeLessThan(1e-5)
  expect(distance(gram(v), identity(r))).toBeLessThan(1e-5)
  expect([...s]).toEqual([...s].sort((x, y) => y - x))
})

test('a rank-deficient matrix still has orthonormal factors', () => {
  const a = matmul(randomMatrix(30, 2), randomMatrix(2, 10, 2))
  const { u, s } = svd(a)
  expect(s[2]).toBeLessThan(1e-4)
  expect(distance(gram(u), identity(10))).toBeLessThan(1e-5)
  const { q, r } = qr(a)
  expect(distance(gram(q), identity(10))).toBeLessThan(1e-5)
  expect(distance(matmul(q, r), a)).toBeLessThan(1e-5)
  expect(() => qr(randomMatrix(2, 3))).toThrow('rows ≥ columns')
})
