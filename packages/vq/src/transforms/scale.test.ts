import { outputError } from '@reallm/kernels'
import { bitsOf, type Matrix } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { recorder } from '../../test/recorder.ts'
import { trellis } from '../trellis/index.ts'
import { withFeedback } from './feedback/index.ts'
import { rotated } from './rotate.ts'
import { scaled } from './scale.ts'

/** Rows and columns that differ in norm by up to a factor of 16. */
function uneven(rows: number, cols: number): Matrix {
  const w = normals(rows, cols, 1)
  for (let i = 0; i < w.data.length; i++) {
    w.data[i] *= 2 ** (4 * Math.sin(Math.floor(i / cols)) ** 2 - 2 * Math.cos(i % cols))
  }
  return w
}

const norms = ({ rows, cols, data }: Matrix) =>
  Array.from({ length: rows }, (_, r) => Math.hypot(...data.subarray(r * cols, (r + 1) * cols)))

test.each([
  { rows: true, cols: true },
  { rows: true, cols: false },
  { rows: false, cols: true },
  { rows: false, cols: false },
])('scales the sides %o of a matrix and its Hessians, and undoes it', async sides => {
  const w = uneven(12, 20)
  const inner = recorder()
  const codec = scaled(inner, sides)
  const hessians = { hessian: correlatedHessian(20, 2), outputHessian: correlatedHessian(12, 3) }
  const stored = await codec.encode(w, { inner: {} }, { ...hessians, seed: 5 })
  const { w: even, ctx } = inner.seen!
  expect(outputError(w, codec.decode(stored), hessians)).toBeLessThan(1e-10)
  // tr(H_out ΔW H ΔWᵀ) / tr(H_out W H Wᵀ) is the same before and after.
  const shifted = { ...even, data: even.data.map(v => 0.5 * v) }
  expect(outputError(even, shifted, ctx)).toBeCloseTo(0.25, 5)
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([12, 20], { inner: {} })))
  expect(bitsOf(stored)).toBe(8 * (4 * 240 + (sides.rows ? 12 : 0) + (sides.cols ? 20 : 0)))
  const [before, after] = [w, even].map(norms).map(n => Math.max(...n) / Math.min(...n))
  if (sides.rows) expect(after).toBeLessThan(1.3)
  else if (!sides.cols) expect(after).toBeCloseTo(before, 3)
})

test('rows alone, and rows of zeros', async () => {
  const w = uneven(12, 20)
  w.data.fill(0, 40, 60)
  const inner = recorder()
  const codec = scaled({ ...inner, decodeRows: (e, from, to) => rowsOf(inner.decode(e), from, to) })
  const stored = await codec.encode(w, { inner: {} }, { seed: 5 })
  expect(codec.decodeRows!(stored, 1, 5)).toEqual(rowsOf(codec.decode(stored), 1, 5))
  expect(outputError(w, codec.decode(stored))).toBeLessThan(1e-10)
})

test('lowers the error under both Hessians where norms differ, its bits counted', async () => {
  const w = uneven(128, 192)
  const hessians = { hessian: correlatedHessian(192, 2), outputHessian: correlatedHessian(128, 3), seed: 1 }
  const plain = rotated(withFeedback(trellis))
  const error = async (codec: typeof plain, params: Parameters<typeof plain.encode>[1]) =>
    outputError(w, codec.decode(await codec.encode(w, params, hessians)), hessians)
  const without = await error(plain, { inner: { bits: 2.25, stateBits: 8 } })
  const both = scaled(plain)
  const stored = await both.encode(w, { inner: { inner: { bits: 2, stateBits: 8 } } }, hessians)
  expect(bitsOf(stored)).toBeLessThan(bitsOf(plain.cost([128, 192], { inner: { bits: 2.25, stateBits: 8 } })))
  expect(outputError(w, both.decode(stored), hessians)).toBeLessThan(0.8 * without)
})

function rowsOf({ cols, data }: Matrix, from: number, to: number): Matrix {
  return { rows: to - from, cols, data: data.slice(from * cols, to * cols) }
}
