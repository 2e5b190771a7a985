import { matrix, random } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { hadamard } from './hadamard.ts'
import { hadamardPlan } from './hadamard-plan.ts'
import { matmul } from './matmul.ts'

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
