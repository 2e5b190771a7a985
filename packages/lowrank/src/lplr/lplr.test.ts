import { matmul } from '@reallm/kernels'
import { bitsOf } from '@reallm/tensor-io'
import { correlatedHessian, decaying, distance } from '@reallm/testing'
import { expect, test } from 'vitest'
import { lowRank } from '../low-rank.ts'
import { applyLowRank } from '../lowrank/index.ts'
import { metricOf } from '../metric.ts'
import { lplr, lplrCodec, lplrFactorsOf } from './index.ts'

const w = decaying(60, 90, 0.85, 1)
const bits = (b: number) => ({ leftBits: b, rightBits: b, seed: 1 })
const product = ({ left, right }: { left: typeof w; right: typeof w }) => matmul(left, right)
const best = distance(w, product(lowRank(w, 12)))

test.each(['gaussian', 'svd'] as const)(
  '%s: the error falls with bits towards that of the exact factors',
  sketch => {
    const errors = [2, 4, 6, 8, 16].map(b => distance(w, product(lplr(w, 12, { ...bits(b), sketch }))))
    for (let i = 1; i < errors.length; i++) expect(errors[i]).toBeLessThan(errors[i - 1] * 1.001)
    const floor = sketch === 'svd' ? best : distance(w, product(lplr(w, 12, { ...bits(16), sketch })))
    expect(errors[4]).toBeLessThan(1.001 * floor)
    // What rounding adds falls by 4² for each two bits while it dominates (the bound's 2^(−2 bits)).
    const added = errors.map(e => e - floor)
    expect(added[2]).toBeLessThan(added[1] / 8)
    expect(added[1]).toBeLessThan(added[0] / 4)
  },
)

test('the least-squares right factor makes up for the rounding of the left one', () => {
  const options = { ...bits(3), sketch: 'svd', rounding: 'nearest' } as const
  const ours = distance(w, product(lplr(w, 12, options)))
  const { left, right } = lowRank(w, 12)
  const direct = lplr(product({ left, right }), 12, options)
  const rounded = { left: direct.left, right: lplr(w, 12, { ...options, leftBits: 16 }).right }
  expect(ours).toBeLessThan(distance(w, product(rounded)))
})

test('the Hessian enters the sketch', () => {
  const hessian = correlatedHessian(90, 5)
  const metric = metricOf({ hessian })
  const error = (m?: typeof metric) => {
    const { left, right } = lplr(w, 6, { ...bits(8), metric: m })
    const p = matmul(left, right)
    return metric.norm({ ...w, data: w.data.map((v, i) => v - p.data[i]) })
  }
  expect(error(metric)).toBeLessThan(error())
})

test('stored, counted, decoded, and multiplied as factors', async () => {
  const params = { rank: 8, leftBits: 4, rightBits: 3, sketch: 'svd' } as const
  const stored = await lplrCodec.encode(w, params, { seed: 3 })
  expect(bitsOf(stored)).toBe(bitsOf(lplrCodec.cost([60, 90], params)))
  const x = decaying(5, 90, 0.9, 7)
  const y = applyLowRank(lplrFactorsOf(stored), x)
  expect(distance(matmul(x, lplrCodec.decode(stored), { transposeB: true }), y)).toBeLessThan(1e-10)
})
