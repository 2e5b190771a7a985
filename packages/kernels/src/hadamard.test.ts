import { copyMatrix, matrix, random } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { distance, randomMatrix, withReference } from '../test/random-matrix.ts'
import { hadamard } from './hadamard.ts'
import { hadamardPlan } from './hadamard-plan.ts'
import { matmul } from './matmul.ts'
import { transpose } from './reference/transpose.ts'

const widths = [1, 2, 3, 5, 7, 12, 16, 20, 28, 36, 64, 76, 96, 100, 192, 576, 640, 896, 960, 1536]

test.each(widths)('width %i: orthogonal, and the inverse undoes it', n => {
  const rng = random(n)
  const signs = Int8Array.from({ length: n }, () => rng.sign())
  const rows = Math.min(n, 32)
  const x = matrix(
    Float32Array.from({ length: rows * n }, () => rng.normal()),
    [rows, n],
  )
  const t = hadamard({ ...x, data: x.data.slice() }, { signs })
  const [before, after] = [matmul(x, x, { transposeB: true }), matmul(t, t, { transposeB: true })]
  expect(largestDifference(before.data, after.data)).toBeLessThan(1e-5 * n)
  hadamard(t, { signs, inverse: true })
  expect(largestDifference(t.data, x.data)).toBeLessThan(1e-5)
})

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0)
}

test('the widths of small models need no cosine factor', () => {
  for (const n of [192, 576, 640, 896, 960, 1536, 4864]) {
    expect(hadamardPlan(n).map(f => f.kind)).not.toContain('dct')
    expect(hadamardPlan(n).reduce((product, f) => product * f.size, 1)).toBe(n)
  }
})

test.each([
  [3, 52, 'right'],
  [5, 1, 'right'],
  [7, 2, 'right'],
  [1, 9, 'right'],
  [33, 576, 'right'],
  [576, 33, 'left'],
  [28, 1, 'left'],
  [2, 3, 'left'],
  [40, 7, 'left'],
  [11, 4864, 'right'],
] as const)('[%i, %i] from the %s: what the reference gives, and its own inverse', (rows, cols, side) => {
  const m = randomMatrix(rows, cols)
  const signs = Array.from({ length: side === 'right' ? cols : rows }, (_, i) => (i % 3 === 0 ? -1 : 1))
  const rotated = hadamard(copyMatrix(m), { side, signs })
  expect(
    distance(
      rotated,
      withReference(() => hadamard(copyMatrix(m), { side, signs })),
    ),
  ).toBeLessThan(1e-5)
  expect(distance(hadamard(rotated, { side, signs, inverse: true }), m)).toBeLessThan(1e-5)
  const plain = copyMatrix(m)
  hadamard(hadamard(plain, { side }), { side })
  expect(distance(plain, m)).toBeLessThan(1e-5)
})

test('the left side rotates columns as the right side rotates rows', () => {
  const m = randomMatrix(24, 10)
  expect(distance(hadamard(copyMatrix(m), { side: 'left' }), transpose(hadamard(transpose(m))))).toBeLessThan(
    1e-6,
  )
})

test('a NaN stays in its row; wrong widths are refused', () => {
  const m = randomMatrix(3, 20)
  m.data[25] = Number.NaN
  hadamard(m)
  expect([0, 1, 2].map(i => m.data.subarray(20 * i, 20 * i + 20).every(Number.isFinite))).toEqual([
    true,
    false,
    true,
  ])
  expect(() => hadamard(m, { signs: [1, 1] })).toThrow('20 signs are needed')
  expect(() => hadamardPlan(0)).toThrow('width ≥ 1')
})
