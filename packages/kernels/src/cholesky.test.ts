import { matrix } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { distance, identity, randomMatrix, withReference } from '../test/random-matrix.ts'
import { addTimesInverse, cholesky, dampedFactor, inverse } from './cholesky.ts'
import { gram } from './gram.ts'
import { matmul } from './matmul.ts'
import { solveTriangular } from './triangular.ts'

const sizes = [1, 2, 3, 4, 5, 16, 17, 18, 19, 33, 64, 101]
const positive = (n: number) => {
  const h = gram(randomMatrix(2 * n + 3, n, n))
  return matrix(
    h.data.map(v => v / n),
    [n, n],
  )
}

test.each(sizes)('factors of size %i multiply back and are those of the reference', n => {
  const h = positive(n)
  const l = cholesky(h)!
  expect(distance(matmul(l, l, { transposeB: true }), h)).toBeLessThan(1e-4)
  expect(
    distance(
      l,
      withReference(() => cholesky(h)!),
    ),
  ).toBeLessThan(1e-5)
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) expect(l.data[i * n + j]).toBe(0)

  const u = dampedFactor(h, 0).factor
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) expect(u.data[i * n + j]).toBe(0)
  const inverted = inverse(h)!
  expect(distance(matmul(u, u, { transposeA: true }), inverted)).toBeLessThan(1e-3)
  expect(distance(matmul(h, inverted), identity(n))).toBeLessThan(1e-3)
  expect(
    distance(
      inverted,
      withReference(() => inverse(h)!),
    ),
  ).toBeLessThan(1e-4)
  expect(
    distance(
      u,
      withReference(() => dampedFactor(h, 0).factor),
    ),
  ).toBeLessThan(1e-4)
})

test('a matrix that is not positive definite has no factor', () => {
  for (const n of [2, 20]) {
    const h = positive(n)
    h.data[n * n - 1] = -1
    expect(cholesky(h)).toBeUndefined()
    expect(inverse(h)).toBeUndefined()
    h.data[n * n - 1] = Number.NaN
    expect(cholesky(h)).toBeUndefined()
  }
})

test.each([40, 1540])('a product with the inverse of size %i is added', n => {
  const a = identity(n)
  a.data[1] = a.data[n] = 0.5
  const b = randomMatrix(3, n)
  const sum = matrix(new Float32Array(3 * n).fill(1), [3, n])
  expect(addTimesInverse(sum, b, a, 1)).toBe(true)
  expect(sum.data[2 * n + 5]).toBeCloseTo(1 + b.data[2 * n + 5] / 2, 5)
  expect(sum.data[0]).toBeCloseTo(1 + (2 * b.data[0] - 0.5 * b.data[1]) / 3.75, 5)
})

test('there is no product with an inverse that does not exist', () => {
  const [a, b] = [identity(40), randomMatrix(3, 40)]
  a.data[40 * 40 - 1] = -2
  expect(addTimesInverse(b, b, a, 1)).toBe(false)
})

test('damping grows until a singular Hessian can be factored', () => {
  const h = gram(randomMatrix(3, 40))
  h.data[0] = -0.5
  const { factor, damping } = dampedFactor(h, 0.001)
  expect(damping).toBeGreaterThan(0.5)
  expect(factor.data.every(Number.isFinite)).toBe(true)
  expect(dampedFactor(matrix(new Float32Array(9), [3, 3])).damping).toBeCloseTo(0.01)
  h.data[41] = Number.NaN
  expect(() => dampedFactor(h)).toThrow('holds NaN or infinities')
})

test.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])('triangular systems, upper %s, transposed %s', (upper, transpose) => {
  const l = cholesky(positive(23))!
  const t = upper ? matmul(l, identity(23), { transposeA: true }) : l
  const x = randomMatrix(23, 5)
  const b = matmul(t, x, { transposeA: transpose })
  const solved = solveTriangular(t, b, { upper, transpose })
  expect(distance(solved, x)).toBeLessThan(1e-3)
  expect(
    distance(
      solved,
      withReference(() => solveTriangular(t, b, { upper, transpose })),
    ),
  ).toBeLessThan(1e-6)
})

test('a zero on the diagonal is named', () => {
  expect(() => solveTriangular(matrix([1, 0, 1, 0], [2, 2]), randomMatrix(2, 1))).toThrow('has a 0 at (1, 1)')
  expect(() => cholesky(randomMatrix(2, 3))).toThrow('must be square, got [2, 3]')
})
