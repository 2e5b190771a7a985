import { copyMatrix, matrix } from '@reallm/tensor-io'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { distance, randomMatrix, withReference } from '../test/random-matrix.ts'
import { gram } from './gram.ts'
import { matmul } from './matmul.ts'

const side = fc.integer({ min: 1, max: 70 })

test('every shape and transpose gives what the reference gives', () => {
  fc.assert(
    fc.property(
      side,
      side,
      fc.integer({ min: 1, max: 600 }),
      fc.boolean(),
      fc.boolean(),
      (m, n, k, transposeA, transposeB) => {
        const a = transposeA ? randomMatrix(k, m) : randomMatrix(m, k)
        const b = transposeB ? randomMatrix(n, k, 2) : randomMatrix(k, n, 2)
        const options = { transposeA, transposeB }
        const wanted = withReference(() => matmul(a, b, options))
        expect(distance(matmul(a, b, options), wanted)).toBeLessThan(2e-4)
      },
    ),
    { numRuns: 60, seed: 1 },
  )
})

test('products larger than a block are put together', () => {
  const [a, b] = [randomMatrix(3, 4500), randomMatrix(2100, 4500, 2)]
  const product = matmul(a, b, { transposeB: true })
  expect(
    distance(
      product,
      withReference(() => matmul(a, b, { transposeB: true })),
    ),
  ).toBeLessThan(2e-3)
  const tall = matmul(b, a, { transposeB: true })
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 2100; j += 99) expect(tall.data[j * 3 + i]).toBeCloseTo(product.data[i * 2100 + j], 3)
})

test('accumulate adds to out', () => {
  const [a, b, out] = [randomMatrix(33, 300), randomMatrix(300, 21, 2), randomMatrix(33, 21, 3)]
  const wanted = withReference(() => matmul(a, b, { out: copyMatrix(out), accumulate: true }))
  expect(matmul(a, b, { out, accumulate: true })).toBe(out)
  expect(distance(out, wanted)).toBeLessThan(2e-4)
})

test('NaN and infinities reach their row and column only', () => {
  const [a, b] = [randomMatrix(9, 20), randomMatrix(20, 11, 2)]
  a.data[2 * 20 + 5] = Number.NaN
  b.data[3 * 11 + 7] = Number.POSITIVE_INFINITY
  const { data } = matmul(a, b)
  for (let i = 0; i < 9; i++) {
    for (let j = 0; j < 11; j++) expect(Number.isFinite(data[i * 11 + j])).toBe(i !== 2 && j !== 7)
  }
})

test('shapes that do not fit are refused by name', () => {
  expect(() => matmul(randomMatrix(2, 3), randomMatrix(2, 3))).toThrow('cannot multiply [2, 3] by [2, 3]')
  expect(() => matmul(randomMatrix(2, 3), randomMatrix(3, 2), { out: randomMatrix(3, 3) })).toThrow(
    'out is [3, 3]',
  )
})

test.each([
  [1, 1],
  [7, 5],
  [300, 37],
  [5000, 20],
])('gram of [%i, %i] is symmetric and adds up', (tokens, n) => {
  const x = randomMatrix(tokens, n)
  const h = gram(x)
  expect(
    distance(
      h,
      withReference(() => gram(x)),
    ),
  ).toBeLessThan(1e-6 * tokens + 1e-5)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) expect(h.data[i * n + j]).toBe(h.data[j * n + i])
  const twice = gram(x, copyMatrix(h))
  expect(
    distance(
      twice,
      matrix(
        h.data.map(v => 2 * v),
        [n, n],
      ),
    ),
  ).toBeLessThan(1e-6 * tokens + 1e-5)
})
