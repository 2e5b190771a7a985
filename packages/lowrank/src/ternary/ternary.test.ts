import { matmul } from '@reallm/kernels'
import { bitsOf } from '@reallm/tensor-io'
import { correlatedHessian, distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { difference, metricOf } from '../metric.ts'
import { applyTernary, ternary, ternaryCodec, ternaryMatrix } from './index.ts'

const w = normals(20, 60, 1)

test('the right factor is ternary, sparse, and a function of its seed', () => {
  const t = ternaryMatrix(50, 60, 0.1, 7)
  expect(new Set(t.data)).toEqual(new Set([-1, 0, 1]))
  const share = t.data.filter(v => v !== 0).length / t.data.length
  expect(share).toBeGreaterThan(0.07)
  expect(share).toBeLessThan(0.13)
  expect(ternaryMatrix(50, 60, 0.1, 7)).toEqual(t)
})

test('C is the least-squares solution, under Hessians too', () => {
  const metric = metricOf({ hessian: correlatedHessian(60, 2) })
  const { left, right } = ternary(w, 15, { density: 0.2, seed: 3, metric })
  const error = metric.norm(difference(w, matmul(left, right)))
  expect(error).toBeLessThan(metric.norm(w))
  for (const seed of [4, 5]) {
    const nudge = normals(20, 15, seed)
    const moved = { ...left, data: left.data.map((v, i) => v + 0.02 * nudge.data[i]) }
    expect(metric.norm(difference(w, matmul(moved, right)))).toBeGreaterThan(error)
  }
})

test('a matrix in the span of T is recovered', () => {
  const exact = matmul(normals(20, 15, 2), ternaryMatrix(15, 60, 0.2, 3))
  const { left, right } = ternary(exact, 15, { density: 0.2, seed: 3 })
  expect(distance(exact, matmul(left, right))).toBeLessThan(1e-8)
})

test('stores C and a seed, and no entry of T', async () => {
  const params = { rank: 16, bits: 4, density: 0.3 }
  const stored = await ternaryCodec.encode(w, params, { seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(ternaryCodec.cost([20, 60], params)))
  expect(bitsOf(stored)).toBe(20 * 16 * 4 + 16 * 16 + 32)
  const x = normals(3, 60, 5)
  expect(
    distance(matmul(x, ternaryCodec.decode(stored), { transposeB: true }), applyTernary(stored, x)),
  ).toBeLessThan(1e-10)
})
