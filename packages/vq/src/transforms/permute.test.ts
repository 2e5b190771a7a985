import { outputError } from '@reallm/kernels'
import { bitsOf, createRegistry, type EncodedMatrix, type Matrix } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { grid } from '../grid/index.ts'
import { withFeedback } from './feedback/index.ts'
import { permutation, permuted } from './permute.ts'

const w = normals(48, 200, 1)
const even = correlatedHessian(200, 2)
const strength = (j: number) => 3 ** Math.sin(7 * j)
const hessian = {
  ...even,
  data: even.data.map((v, i) => v * strength(i % 200) * strength(Math.floor(i / 200))),
}
const inner = { bits: 2, group: 40 }

test('lowers the output error where columns differ, and counts the order', async () => {
  const codec = permuted(withFeedback(grid))
  const stored = await codec.encode(w, { inner }, { hessian, seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([48, 200], { inner })))
  expect(bitsOf(stored) - bitsOf(grid.cost([48, 200], inner))).toBe(200 * 8)
  const plain = await withFeedback(grid).encode(w, inner, { hessian, seed: 1 })
  const error = outputError(w, codec.decode(stored), { hessian })
  expect(error).toBeLessThan(0.97 * outputError(w, grid.decode(plain), { hessian }))
  expect(createRegistry([grid], [permutation]).decode(stored)).toEqual(codec.decode(stored))
  expect(codec.decodeRows!(stored, 3, 5).data).toEqual(codec.decode(stored).data.slice(600, 1000))
})

test('every column comes back to its place', async () => {
  const codec = permuted(grid)
  const stored = await codec.encode(w, { inner: { bits: 8, group: 'row' } }, { hessian, seed: 1 })
  expect(outputError(w, codec.decode(stored))).toBeLessThan(1e-3)
  const without = await codec.encode(w, { inner: { bits: 8, group: 'row' } }, { seed: 1 })
  expect(outputError(w, codec.decode(without))).toBeLessThan(1e-3)
})

test('by similarity, every 64 rows have an order of their own, which smooths them', async () => {
  const rows = 100
  // neighbours in a hidden order of the columns are alike, and each block has another order
  const hidden = (r: number, c: number) => (r < 64 ? 7 * c : 11 * c) % 200
  const value = (r: number, at: number) => Math.sin(at / 20 + r) + 0.3 * Math.cos(at / 7 - 2 * r)
  const data = Float32Array.from({ length: rows * 200 }, (_, i) => {
    const [r, c] = [Math.floor(i / 200), i % 200]
    return value(r, hidden(r, c))
  })
  const smooth = { rows, cols: 200, data }
  const fine = { inner: { bits: 8, group: 'row' as const } }
  const codec = permuted(grid, { by: 'similarity' })
  const stored = await codec.encode(smooth, fine, { seed: 1 })
  expect(outputError(smooth, codec.decode(stored))).toBeLessThan(1e-3)
  expect(codec.decodeRows!(stored, 60, 70).data).toEqual(codec.decode(stored).data.slice(12_000, 14_000))
  expect(bitsOf(stored)).toBe(bitsOf(grid.cost([rows, 200], fine.inner)) + 2 * 200 * 8)
  expect(createRegistry([grid], [permutation]).decode(stored)).toEqual(codec.decode(stored))
  const inner = grid.decode(stored.inner as EncodedMatrix<never>)
  const steps = ({ data }: Matrix) =>
    data.reduce((sum, v, i) => sum + (i % 200 ? (v - data[i - 1]) ** 2 : 0), 0)
  expect(steps(inner)).toBeLessThan(0.1 * steps(smooth))
})
