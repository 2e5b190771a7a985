import { outputError, transpose } from '@reallm/kernels'
import { bitsOf, type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { readScaling } from '@reallm/tensor-io/layouts'
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
})

test.each([{ rows: true }, { cols: true }, { rows: true, cols: true }])(
  'makes norms alike: %o',
  async sides => {
    const inner = recorder()
    const hessian = correlatedHessian(20, 2)
    await scaled(inner, { rows: false, cols: false, ...sides }).encode(
      uneven(12, 20),
      { inner: {} },
      { hessian, seed: 5 },
    )
    const { w: even } = inner.seen!
    for (const side of [sides.rows && even, sides.cols && transpose(even)]) {
      if (!side) continue
      const found = norms(side)
      expect(Math.max(...found) / Math.min(...found)).toBeLessThan(1.3)
    }
  },
)

test('rows whose errors cost little have larger scales than their norms', async () => {
  const outputHessian = zeroMatrix(12, 12)
  for (let i = 0; i < 12; i++) outputHessian.data[13 * i] = 4 ** (i % 5)
  const stored = await scaled(recorder(), { cols: false }).encode(
    normals(12, 20, 1),
    { inner: {} },
    { outputHessian, seed: 5 },
  )
  const [rows] = readScaling(stored)
  expect(rows![0]).toBeGreaterThan(1.3 * rows![4])
})

test('the Hessian is damped before it is scaled', async () => {
  const inner = recorder()
  const hessian = correlatedHessian(20, 2)
  const stored = await scaled(inner, { rows: false }).encode(
    uneven(12, 20),
    { inner: {} },
    { hessian, seed: 5 },
  )
  const { isDamped, hessian: given } = inner.seen!.ctx
  const [, cols] = readScaling(stored)
  expect(isDamped).toBe(true)
  const mean = hessian.data.reduce((sum, v, i) => sum + (i % 21 === 0 ? v : 0), 0) / 20
  for (const i of [0, 7, 19])
    expect(given!.data[21 * i] / cols![i] ** 2).toBeCloseTo(hessian.data[21 * i] + 0.01 * mean, 4)
  inner.seen!.ctx.onHessianRead!()
  expect(given!.data).toHaveLength(0)
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
