import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { random } from '@reallm/tensor-io'
import { writeToyModels } from '@reallm/testing'
import { block, linearModules, loadBlock, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { openToy } from '../../test/toy-store.ts'
import { createSequenceStates } from '../blockwise/hidden-states.ts'
import { codewordSums } from './codeword-sums.ts'
import { type AdditiveMatrix, tuneCodebooks } from './index.ts'

vi.setConfig({ testTimeout: 240_000 })

beforeAll(async () => {
  await useBackend('wasm')
})

test('sums of codewords, and their gradient', () => {
  const before = tf.memory().numTensors
  tf.tidy(() => {
    const choice = { rows: 2, count: 2, size: 2, codes: Uint16Array.of(0, 1, 1, 1, 1, 0, 0, 0) }
    const books = tf.tensor2d([1, 2, 3, 4, 10, 20, 30, 40], [4, 2])
    const sums = codewordSums(choice, books)
    expect(Array.from(sums.dataSync())).toEqual([31, 42, 33, 44, 13, 24, 11, 22])
    const weight = tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 8], [2, 4])
    const gradient = tf.grad(b => codewordSums(choice, b).mul(weight))(books)
    // word 0 of the first book: groups 0 and 3; word 1: groups 1 and 2; of the second: 2 and 3, 0 and 1
    expect(Array.from(gradient.dataSync())).toEqual([8, 10, 8, 10, 12, 14, 4, 6])
  })
  expect(tf.memory().numTensors).toBe(before)
})

test('codebooks, scales and norms that were disturbed are trained back towards what makes the targets', async () => {
  const { original } = await writeToyModels(mkdtempSync(join(tmpdir(), 'reallm-additive-')))
  const model = await openToy(original)
  const { config } = model
  const { normal, integer } = random(1)
  const before = tf.memory().numTensors
  const weights = await loadBlock(model, 0)
  const matrices = new Map<string, AdditiveMatrix>()
  for (const { name, shape } of linearModules(config, 0)) {
    const [rows, cols] = shape
    const vectors = { rows: 32, cols: 8, data: Float32Array.from({ length: 256 }, normal) }
    const codes = Uint16Array.from({ length: 2 * rows * Math.ceil(cols / 8) }, () => integer(16))
    const table = tf.tensor2d(vectors.data, [32, 8])
    const sums = codewordSums({ rows, count: 2, size: 16, codes }, table)
    weights[`${name}.weight`].dispose()
    weights[`${name}.weight`] = tf.tidy(() => sums.slice([0, 0], [rows, cols]).mul(0.2))
    tf.dispose([sums, table])
    const disturbed = { ...vectors, data: vectors.data.map(v => v + 0.3 * normal()) }
    const books = { vectors: disturbed, count: 2, size: 16 }
    matrices.set(name, { shape, codes, books, scales: new Float32Array(rows).fill(0.2) })
  }
  const [inputs, targets] = [createSequenceStates(16), createSequenceStates(16)]
  for (let w = 0; w < 16; w++) {
    const x = Float32Array.from({ length: 12 * config.hiddenSize }, normal)
    await inputs.set(w, x)
    const y = tf.tidy(() => block(config, weights, 0, tf.tensor3d(x, [1, 12, config.hiddenSize])))
    await targets.set(w, Float32Array.from(y.dataSync()))
    y.dispose()
  }
  const steps = { steps: 60, learningRate: 0.01, rows: 4, seed: 1 }
  const found = await tuneCodebooks({ config, block: 0, weights, matrices, inputs, targets, ...steps })
  expect(found.after).toBeLessThan(0.5 * found.before)
  const [name, tuned] = [...found.matrices][0]
  expect(tuned.codebooks).not.toEqual(matrices.get(name)!.books.vectors.data)
  expect(tuned.scales).not.toEqual(matrices.get(name)!.scales)
  expect([...found.norms.keys()]).toContain('model.layers.0.input_layernorm.weight')
  tf.dispose(weights)
  expect(tf.memory().numTensors).toBe(before)
  await model.close()
})
