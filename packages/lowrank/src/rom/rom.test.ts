import { eigh, matmul, outputError } from '@reallm/kernels'
import { bitsOf } from '@reallm/tensor-io'
import { correlatedHessian, distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { lowRank } from '../low-rank.ts'
import { applyLowRank, lowRankOf } from '../lowrank/index.ts'
import { metricOf } from '../metric.ts'
import { rom, romCodec, romRank } from './index.ts'

const w = normals(24, 40, 1)
const hessian = correlatedHessian(40, 2)

test('its layers are those of the outputs’ leading eigenvectors', () => {
  const { left, right } = rom(w, 6, metricOf({ hessian }))
  const { values, vectors } = eigh(matmul(matmul(w, hessian), w, { transposeB: true }))
  const lost = values.slice(6).reduce((sum, v) => sum + v, 0) / values.reduce((sum, v) => sum + v, 0)
  expect(outputError(w, matmul(left, right), { hessian })).toBeCloseTo(lost, 4)
  const overlap = matmul(left, vectors, { transposeA: true })
  for (let k = 0; k < 6; k++) expect(Math.abs(overlap.data[k * 24 + k])).toBeCloseTo(1, 3)
})

test.each([
  [24, 40],
  [40, 24],
])('no rank-8 approximation of a [%i, %i] matrix loses less of its outputs', (rows, cols) => {
  const m = normals(rows, cols, 3)
  const hessians = { hessian: correlatedHessian(cols, 4) }
  const metric = metricOf(hessians)
  const product = ({ left, right }: ReturnType<typeof rom>) => matmul(left, right)
  const error = outputError(m, product(rom(m, 8, metric)), hessians)
  expect(error).toBeCloseTo(
    outputError(m, product(lowRank(m, 8, { metric, powerIterations: 6 })), hessians),
    4,
  )
})

test('a budget of parameters', () => {
  for (const share of [0.9, 0.8, 0.5]) {
    const rank = romRank([576, 1536], share)
    expect(rank * (576 + 1536)).toBeLessThanOrEqual(share * 576 * 1536)
    expect((rank + 1) * (576 + 1536)).toBeGreaterThan(share * 576 * 1536)
  }
  expect(() => romRank([8, 8], 0.1)).toThrow('no rank fits 0.1')
})

test('stored, counted, and run as two layers', async () => {
  const stored = await romCodec.encode(w, { share: 0.8 }, { hessian, seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(romCodec.cost([24, 40], { share: 0.8 })))
  expect(bitsOf(stored)).toBeLessThanOrEqual(0.8 * 16 * 24 * 40)
  const x = normals(3, 40, 5)
  const y = applyLowRank(lowRankOf(stored), x)
  expect(distance(matmul(x, romCodec.decode(stored), { transposeB: true }), y)).toBeLessThan(1e-10)
})
