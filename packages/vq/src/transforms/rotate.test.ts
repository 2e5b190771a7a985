import { outputError } from '@reallm/kernels'
import { bitsOf, type Matrix } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { recorder } from '../../test/recorder.ts'
import { rotated } from './rotate.ts'

const spread = (m: Matrix) =>
  Math.max(...m.data.map(Math.abs)) / Math.sqrt(m.data.reduce((s, v) => s + v * v, 0))

test.each([
  [12, 20],
  [9, 24],
  [7, 13],
])('rotates a [%i, %i] matrix and its Hessians, and undoes it', async (rows, cols) => {
  const w = normals(rows, cols, 1)
  const inner = recorder()
  const codec = rotated(inner)
  const hessians = { hessian: correlatedHessian(cols, 2), outputHessian: correlatedHessian(rows, 3) }
  const stored = await codec.encode(w, { inner: {} }, { ...hessians, seed: 5 })
  const { w: incoherent, ctx } = inner.seen!
  expect(outputError(w, incoherent)).toBeGreaterThan(0.5)
  expect(outputError(w, codec.decode(stored), hessians)).toBeLessThan(1e-10)
  // tr(H_out W H Wᵀ) is the same before and after.
  const shifted = { ...incoherent, data: incoherent.data.map(v => 0.5 * v) }
  expect(outputError(incoherent, shifted, ctx)).toBeCloseTo(0.25, 5)
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([rows, cols], { inner: {} })))
})

test('one side alone', async () => {
  const w = normals(12, 20, 1)
  const inner = recorder()
  const codec = rotated(inner, { output: false })
  const outputHessian = correlatedHessian(12, 3)
  const stored = await codec.encode(w, { inner: {} }, { outputHessian, seed: 5 })
  expect(inner.seen!.ctx.outputHessian).toBe(outputHessian)
  expect(outputError(w, codec.decode(stored))).toBeLessThan(1e-10)
})

test('a large Hessian that was read is freed, and made again for the next time', async () => {
  const side = 2304
  const hessian = { rows: side, cols: side, data: new Float32Array(side * side).fill(0.5) }
  const w = normals(2, side, 1)
  const inner = recorder()
  const codec = rotated(inner)
  let told = 0
  const onHessianRead = () => void told++
  const encode = () => codec.encode(w, { inner: {} }, { hessian, onHessianRead, seed: 5 })
  await encode()
  const { hessian: first, ...ctx } = inner.seen!.ctx
  const some = first!.data.slice(0, side)
  ctx.onHessianRead!()
  expect(told).toBe(1)
  expect(first!.data).toHaveLength(0)
  await encode()
  expect(inner.seen!.ctx.hessian).toBe(first)
  expect(first!.data.slice(0, side)).toEqual(some)
})

test('spreads outliers', async () => {
  const w = normals(48, 96, 1)
  w.data[777] = 100
  const inner = recorder()
  await rotated(inner).encode(w, { inner: {} }, { seed: 5 })
  expect(spread(inner.seen!.w)).toBeLessThan(0.3 * spread(w))
})
