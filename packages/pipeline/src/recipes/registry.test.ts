import { outputError } from '@reallm/kernels'
import { plusLowRank } from '@reallm/lowrank'
import { bitsOf } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { grid, rotated, withFeedback } from '@reallm/vq'
import { expect, test } from 'vitest'
import { builtInRegistry } from './registry.ts'

test('low rank, rotation, feedback and grid compose, and decode through the registry', async () => {
  const w = normals(48, 96, 1)
  for (let r = 0; r < 48; r++) w.data[r * 96 + 5] += 8 * Math.sin(r)
  const hessian = correlatedHessian(96, 2)
  const codec = plusLowRank({ rank: 4, bits: 8, rounds: 6 }, rotated(withFeedback(grid)))
  const params = { inner: { inner: { bits: 3, group: 48 } } }
  const stored = await codec.encode(w, params, { hessian, seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([48, 96], params)))
  const decoded = builtInRegistry().decode(stored)
  expect(decoded).toEqual(codec.decode(stored))
  const without = rotated(withFeedback(grid))
  const plain = without.decode(await without.encode(w, params.inner, { hessian, seed: 1 }))
  expect(outputError(w, decoded, { hessian })).toBeLessThan(0.7 * outputError(w, plain, { hessian }))
})

test('rows alone where only the columns are rotated; out of the whole otherwise', async () => {
  const w = normals(48, 96, 1)
  for (const output of [false, true]) {
    const codec = plusLowRank({ rank: 2, rounds: 1 }, rotated(grid, { output }))
    const stored = await codec.encode(w, { inner: { inner: { bits: 3, group: 48 } } }, { seed: 1 })
    const whole = codec.decode(stored)
    const rows = codec.decodeRows!(stored, 5, 9)
    expect(outputError({ ...rows, data: whole.data.subarray(5 * 96, 9 * 96) }, rows)).toBeLessThan(1e-10)
  }
})
