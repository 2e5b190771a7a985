import { outputError } from '@reallm/kernels'
import { bitsOf, createRegistry } from '@reallm/tensor-io'
import { grid } from '@reallm/vq'
import { expect, test } from 'vitest'
import { correlatedMoment, normals } from '../../../lowrank/test/synthetic.ts'
import { withFeedback } from './feedback.ts'
import { permutation, permuted } from './permuted.ts'

const w = normals(48, 200, 1)
const moment = correlatedMoment(200, 2)
const strength = (j: number) => 3 ** Math.sin(7 * j)
const hessian = {
  ...moment,
  data: moment.data.map((v, i) => v * strength(i % 200) * strength(Math.floor(i / 200))),
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
