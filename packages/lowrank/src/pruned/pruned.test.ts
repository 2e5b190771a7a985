import { bitsOf, createRegistry } from '@reallm/tensor-io'
import { normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { prunedCodec, storePruned } from './index.ts'

const w = normals(20, 33, 1)

test('keeps the rows and columns with the largest norms, and nothing of the others', async () => {
  const strong = { ...w, data: w.data.map((v, i) => v * (i % 33 === 7 || Math.floor(i / 33) === 4 ? 10 : 1)) }
  const params = { rows: 3, cols: 5, bits: 16 }
  const stored = await prunedCodec.encode(strong, params, { seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(prunedCodec.cost([20, 33], params)))
  expect(bitsOf(stored)).toBe(16 * 15 + 8 * Math.ceil(20 / 8) + 8 * Math.ceil(33 / 8))
  const back = createRegistry([prunedCodec]).decode(stored)
  expect(back.data.filter(v => v !== 0).length).toBe(15)
  expect(back.data[4 * 33 + 7]).toBeCloseTo(strong.data[4 * 33 + 7], 1)
})

test('stores given rows and columns on 8 bits', () => {
  const stored = storePruned(w, [0, 19], [2, 3, 32], 8)
  const back = prunedCodec.decode(stored)
  for (const [i, v] of back.data.entries()) {
    const kept = [0, 19].includes(Math.floor(i / 33)) && [2, 3, 32].includes(i % 33)
    expect(Math.abs(v - (kept ? w.data[i] : 0))).toBeLessThan(0.02)
  }
})

test('all rows and columns take no map; more than there are are refused', async () => {
  const params = { bits: 8 }
  expect(bitsOf(await prunedCodec.encode(w, params, { seed: 1 }))).toBe(20 * 33 * 8 + 16 * 20)
  expect(() => prunedCodec.cost([20, 33], { rows: 21 })).toThrow('cannot keep')
})
