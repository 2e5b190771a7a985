import { matrix } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { distance, randomMatrix } from '../test/random-matrix.ts'
import { cholesky, inverse } from './cholesky.ts'
import {
  choleskyInBlocks,
  invertLowerInBlocks,
  lowerGramInBlocks,
  solveInBlocks,
} from './factor-in-blocks.ts'
import { gram } from './gram.ts'
import { matmul } from './matmul.ts'

const positive = (n: number) => {
  const h = gram(randomMatrix(2 * n + 3, n, n))
  return matrix(
    h.data.map(v => v / n),
    [n, n],
  )
}

test.each([
  [7, 16],
  [32, 16],
  [101, 16],
  [101, 24],
])(
  'a matrix of size %i in blocks of %i: the factor, its inverse, their product, and what is solved',
  (n, block) => {
    const h = positive(n)
    const work = { ...h, data: h.data.slice() }
    expect(choleskyInBlocks(work, block)).toBe(true)
    expect(distance(work, cholesky(h)!)).toBeLessThan(1e-5)
    const b = randomMatrix(5, n)
    const x = { ...b, data: b.data.slice() }
    solveInBlocks(x, work, block)
    expect(distance(x, matmul(b, inverse(h)!))).toBeLessThan(1e-4)
    invertLowerInBlocks(work, block)
    lowerGramInBlocks(work, block)
    expect(distance(work, inverse(h)!)).toBeLessThan(1e-4)
  },
)

test('a matrix that is not positive definite has no factor in blocks', () => {
  const h = positive(40)
  h.data[40 * 40 - 1] = -1
  expect(choleskyInBlocks(h, 16)).toBe(false)
})
