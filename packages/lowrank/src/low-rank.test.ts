import { matmul } from '@reallm/kernels'
import { correlatedHessian, distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { lowPrecision } from './low-precision.ts'
import { lowRank } from './low-rank.ts'
import { difference, metricOf } from './metric.ts'

const w = normals(32, 48, 1)
const hessian = correlatedHessian(48, 2)
const outputHessian = correlatedHessian(32, 3)
const both = metricOf({ hessian, outputHessian })
const product = ({ left, right }: ReturnType<typeof lowRank>) => matmul(left, right)

test('each metric is best served by its own factors', () => {
  const metrics = [
    metricOf({}),
    metricOf({ hessian }),
    both,
    metricOf({ hessian, outputHessian }, 'diagonal'),
  ]
  for (const metric of metrics) {
    const errors = metrics.map(m => metric.norm(difference(w, product(lowRank(w, 6, { metric: m })))))
    expect(errors.indexOf(Math.min(...errors))).toBe(metrics.indexOf(metric))
  }
})

test('no change of either factor lowers the error under both Hessians', () => {
  const { left, right } = lowRank(w, 6, { metric: both })
  const error = both.norm(difference(w, matmul(left, right)))
  for (const seed of [1, 2, 3]) {
    const moved = normals(32, 6, seed)
    const near = { ...left, data: left.data.map((v, i) => v + 0.01 * moved.data[i]) }
    expect(both.norm(difference(w, matmul(near, right)))).toBeGreaterThan(error)
  }
})

test('components share their norm evenly', () => {
  const { left, right } = lowRank(w, 3, { metric: both })
  for (let k = 0; k < 3; k++) {
    let [column, row] = [0, 0]
    for (let i = 0; i < 32; i++) column += left.data[i * 3 + k] ** 2
    for (let j = 0; j < 48; j++) row += right.data[k * 48 + j] ** 2
    expect(column / row).toBeCloseTo(1, 3)
  }
})

test('a Hessian of rank one is damped', () => {
  const x = normals(1, 48, 5)
  const single = metricOf({ hessian: matmul(x, x, { transposeA: true }) })
  expect(single.norm(difference(w, product(lowRank(w, 1, { metric: single }))))).toBeLessThan(
    1e-4 * single.norm(w),
  )
})

test('rank 0 is nothing', () => {
  expect(product(lowRank(w, 0)).data.every(v => v === 0)).toBe(true)
})

test.each([16, 8, 4, 2])('factors on %i bits: refits lower the error under the metric', bits => {
  const exact = both.norm(difference(w, product(lowRank(w, 8, { metric: both }))))
  const rounded = lowPrecision(w, 8, { bits, metric: both, refits: 0 })
  const refitted = lowPrecision(w, 8, { bits, metric: both, refits: 6 })
  expect(refitted.error).toBeLessThanOrEqual(rounded.error)
  expect(refitted.error).toBeGreaterThan(0.999 * exact)
  expect(both.norm(difference(w, product(refitted)))).toBeCloseTo(refitted.error, 5)
  if (bits <= 4) expect(refitted.error).toBeLessThan(0.98 * rounded.error)
  if (bits >= 8) expect(refitted.error).toBeLessThan(1.01 * exact)
})

test('diagonal weights are those of the weighted SVD', () => {
  // LQ-LoRA: SVD of D_row W D_col, then unscaled.
  const metric = metricOf({ hessian, outputHessian }, 'diagonal')
  const dRow = Float32Array.from({ length: 32 }, (_, i) => Math.sqrt(outputHessian.data[i * 33]))
  const dCol = Float32Array.from({ length: 48 }, (_, j) => Math.sqrt(hessian.data[j * 49]))
  const scaled = { ...w, data: w.data.map((v, i) => v * dRow[Math.floor(i / 48)] * dCol[i % 48]) }
  const plain = product(lowRank(scaled, 4))
  const unscaled = { ...plain, data: plain.data.map((v, i) => v / (dRow[Math.floor(i / 48)] * dCol[i % 48])) }
  expect(distance(unscaled, product(lowRank(w, 4, { metric })))).toBeLessThan(1e-4)
})
