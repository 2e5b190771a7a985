import { bitsOf, bitsPerWeight, matrix, random } from '@reallm/tensor-io'
import { tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { implicit } from './codec.ts'

const params = { dim: 4, codeBits: [4, 4], hidden: 16, rounds: 3, steps: 40 }

beforeAll(async () => {
  await useBackend('wasm')
})

test('Gaussian weights at 2 bits: less error than a scalar grid, exact cost, repeatable, rows readable alone', async () => {
  const rng = random(1)
  const w = matrix(
    Float32Array.from({ length: 96 * 130 }, () => rng.normal()),
    [96, 130],
  )
  const before = tf.memory().numTensors
  const stored = await implicit.encode(w, params, { seed: 5 })
  expect(tf.memory().numTensors).toBe(before)
  expect(bitsOf(stored)).toBe(bitsOf(implicit.cost([96, 130], params)))
  expect(bitsPerWeight(stored)).toBeLessThan(2.6)
  const decoded = implicit.decode(stored)
  const error = w.data.reduce((sum, x, i) => sum + (x - decoded.data[i]) ** 2, 0) / w.data.length
  expect(error).toBeLessThan(0.118) // Lloyd–Max at 2 bits
  expect(implicit.decodeRows!(stored, 10, 12).data).toEqual(decoded.data.subarray(10 * 130, 12 * 130))
  const again = await implicit.encode(w, params, { seed: 5 })
  expect(again.parts.codes.data).toEqual(stored.parts.codes.data)
})
