import { dampedFactor, inverse, matmul } from '@reallm/kernels'
import { tileOf } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { blockLoss, targetVariance, unitFactor } from './block-ldl.ts'

test.each([1, 3, 4])(
  'blocks of %i: error feedback is the least-squares answer of the later columns',
  block => {
    const h = correlatedHessian(10, 1)
    const v = unitFactor(dampedFactor(h, 0).factor, block)
    const error = normals(2, block, 2)
    // min over R of tr([E R] H [E R]ᵀ) is R = −E H_B,rest H_rest,rest⁻¹
    const rest = 10 - block
    const wanted = matmul(
      matmul(error, tileOf(h, 0, block, block, rest)),
      inverse(tileOf(h, block, block, rest, rest))!,
    )
    const got = matmul(error, tileOf(v, 0, block, block, rest))
    for (const [i, value] of got.data.entries()) expect(-value).toBeCloseTo(wanted.data[i], 3)
  },
)

test('diagonal blocks become the identity', () => {
  const v = unitFactor(dampedFactor(correlatedHessian(7, 1), 0).factor, 3)
  expect(Array.from(tileOf(v, 3, 3, 3, 3).data)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1])
  expect(Array.from(tileOf(v, 6, 6, 3, 3).data)).toEqual([1])
})

test.each([1, 3])('loss of blocks of %i: the Schur complement of the later columns', block => {
  const h = correlatedHessian(9, 1)
  const loss = blockLoss(dampedFactor(h, 0).factor, block)
  const rest = 9 - block
  const after = tileOf(h, 0, block, block, rest)
  const known = matmul(matmul(after, inverse(tileOf(h, block, block, rest, rest))!), after, {
    transposeB: true,
  })
  for (let i = 0; i < block; i++) {
    expect(loss[i]).toBeCloseTo(h.data[i * 9 + i] - known.data[i * block + i], 4)
  }
  if (block === 1) expect(loss[8]).toBeCloseTo(h.data[80], 4)
})

test('variance of what columns are handed: that of weights and errors which were fed back', () => {
  const [rows, n, block] = [20_000, 7, 3]
  const { factor } = dampedFactor(correlatedHessian(n, 1), 0)
  const noise = Float32Array.from({ length: n }, (_, c) => 0.3 - 0.03 * c)
  const expected = targetVariance(factor, block, noise)
  const v = unitFactor(factor, block)
  const targets = normals(rows, n, 2)
  const errors = normals(rows, n, 3)
  const squares = new Float64Array(n)
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < n; c++) {
      squares[c] += targets.data[r * n + c] ** 2 / rows
      const error = Math.sqrt(noise[c] * expected[c]) * errors.data[r * n + c]
      for (let later = block * Math.ceil((c + 1) / block); later < n; later++)
        targets.data[r * n + later] += error * v.data[c * n + later]
    }
  }
  expect(expected[n - 1]).toBeGreaterThan(1.05)
  for (let c = 0; c < n; c++) expect(squares[c] / expected[c]).toBeCloseTo(1, 1)
})
