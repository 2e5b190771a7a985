import { outputError } from '@reallm/kernels'
import { bitsOf, createRegistry, type Matrix } from '@reallm/tensor-io'
import { grid } from '@reallm/vq'
import { expect, test } from 'vitest'
import { correlatedMoment, normals } from '../../../lowrank/test/synthetic.ts'
import { spy } from '../../test/spy.ts'
import { withFeedback } from './feedback.ts'
import { plusLowRank, wrappers } from './index.ts'
import { rotated } from './rotated.ts'

const spread = (m: Matrix) =>
  Math.max(...m.data.map(Math.abs)) / Math.sqrt(m.data.reduce((s, v) => s + v * v, 0))

test.each([
  [12, 20],
  [9, 24],
  [7, 13],
])('turns a [%i, %i] matrix and its moments, and undoes it', async (rows, cols) => {
  const w = normals(rows, cols, 1)
  const inner = spy()
  const codec = rotated(inner)
  const moments = { hessian: correlatedMoment(cols, 2), outputHessian: correlatedMoment(rows, 3) }
  const stored = await codec.encode(w, { inner: {} }, { ...moments, seed: 5 })
  const { w: turned, ctx } = inner.seen!
  expect(outputError(w, turned)).toBeGreaterThan(0.5)
  expect(outputError(w, codec.decode(stored), moments)).toBeLessThan(1e-10)
  // tr(H_out W H Wᵀ) is the same before and after.
  const shifted = { ...turned, data: turned.data.map(v => 0.5 * v) }
  expect(outputError(turned, shifted, ctx)).toBeCloseTo(0.25, 5)
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([rows, cols], { inner: {} })))
})

test('one side alone', async () => {
  const w = normals(12, 20, 1)
  const inner = spy()
  const codec = rotated(inner, { output: false })
  const outputHessian = correlatedMoment(12, 3)
  const stored = await codec.encode(w, { inner: {} }, { outputHessian, seed: 5 })
  expect(inner.seen!.ctx.outputHessian).toBe(outputHessian)
  expect(outputError(w, codec.decode(stored))).toBeLessThan(1e-10)
})

test('spreads outliers', async () => {
  const w = normals(48, 96, 1)
  w.data[777] = 100
  const inner = spy()
  await rotated(inner).encode(w, { inner: {} }, { seed: 5 })
  expect(spread(inner.seen!.w)).toBeLessThan(0.3 * spread(w))
})

test('a whole recipe: low rank, rotation, feedback, grid, through a registry', async () => {
  const w = normals(48, 96, 1)
  for (let r = 0; r < 48; r++) w.data[r * 96 + 5] += 8 * Math.sin(r)
  const hessian = correlatedMoment(96, 2)
  const codec = plusLowRank({ rank: 4, bits: 8, rounds: 6 }, rotated(withFeedback(grid)))
  const params = { inner: { inner: { bits: 3, group: 48 } } }
  const stored = await codec.encode(w, params, { hessian, seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([48, 96], params)))
  const decoded = createRegistry([grid], wrappers).decode(stored)
  expect(decoded).toEqual(codec.decode(stored))
  const without = rotated(withFeedback(grid))
  const plain = without.decode(await without.encode(w, params.inner, { hessian, seed: 1 }))
  expect(outputError(w, decoded, { hessian })).toBeLessThan(0.7 * outputError(w, plain, { hessian }))
})

test('rows alone where only the columns are turned; out of the whole otherwise', async () => {
  const w = normals(48, 96, 1)
  for (const output of [false, true]) {
    const codec = plusLowRank({ rank: 2, rounds: 1 }, rotated(grid, { output }))
    const stored = await codec.encode(w, { inner: { inner: { bits: 3, group: 48 } } }, { seed: 1 })
    const whole = codec.decode(stored)
    const rows = codec.decodeRows!(stored, 5, 9)
    expect(outputError({ ...rows, data: whole.data.subarray(5 * 96, 9 * 96) }, rows)).toBeLessThan(1e-10)
  }
})
