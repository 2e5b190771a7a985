import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { f16ToF32 } from '@reallm/tensor-io'
import { block, embed, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { toyConfig, toyStream, toyWeights } from '../../test/toy.ts'
import { collate, sequencesOf } from '../batches.ts'
import { directionLoss, directions, divergence, teacherLogits, topK } from './index.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

const logits = (seed: number) => tf.randomNormal([3, 10], 0, 2, 'float32', seed) as TfTensor

test('with all tokens kept it is the Kullback-Leibler divergence', async () => {
  const [teacher, student] = [logits(1), logits(2)]
  const { losses } = divergence(student, await topK(teacher, 10))
  const exact = tf.tidy(() => {
    const [p, q] = [tf.logSoftmax(teacher), tf.logSoftmax(student)]
    return p.exp().mul(p.sub(q)).sum(1)
  })
  for (const [i, v] of losses.dataSync().entries()) expect(v).toBeCloseTo(exact.dataSync()[i], 4)
})

test('it is 0 for the same model, and never more than the exact divergence', async () => {
  const [teacher, student] = [logits(1), logits(2)]
  const same = divergence(teacher, await topK(teacher, 4)).losses.dataSync()
  for (const v of same) expect(Math.abs(v)).toBeLessThan(1e-4)
  const exact = divergence(student, await topK(teacher, 10)).losses.dataSync()
  const coarse = divergence(student, await topK(teacher, 4)).losses.dataSync()
  for (const [i, v] of coarse.entries()) {
    expect(v).toBeGreaterThan(0)
    expect(v).toBeLessThanOrEqual(exact[i] + 1e-5)
  }
})

test('its gradient is that of finite differences', async () => {
  const top = await topK(logits(1), 4)
  const student = logits(2)
  const loss = (x: TfTensor) => divergence(x, top).losses.sum()
  const gradient = divergence(student, top).derivative().dataSync()
  const values = Float32Array.from(student.dataSync())
  const at = (i: number, delta: number) => {
    const moved = values.slice()
    moved[i] += delta
    return loss(tf.tensor2d(moved, [3, 10])).dataSync()[0]
  }
  for (let i = 0; i < 30; i += 3) expect(gradient[i]).toBeCloseTo((at(i, 0.02) - at(i, -0.02)) / 0.04, 2)
})

test('a teacher is run once on each sequence: files are used again, for the same sequences only', async () => {
  const weights = toyWeights()
  const sequences = sequencesOf(toyStream(60), 12)
  const path = join(mkdtempSync(join(tmpdir(), 'reallm-teacher-')), 'teacher')
  const options = { config: toyConfig, weights, sequences, k: 8, path, fingerprint: { teacher: 'toy' } }
  const first = await teacherLogits(options)
  rmSync(join(path, '3.safetensors'))
  const computed: number[] = []
  const again = await teacherLogits({ ...options, onProgress: ({ done }) => computed.push(done) })
  expect(computed).toEqual([4])
  const inMemory = await teacherLogits({ ...options, path: undefined } as Omit<typeof options, 'path'>)
  const batch = collate(sequences, [3, 1])
  expect(await again.of(batch)).toEqual(await first.of(batch))
  expect(await again.of(batch)).toEqual(await inMemory.of(batch))
  await expect(teacherLogits({ ...options, fingerprint: { teacher: 'other' } })).rejects.toThrow(
    /teacher = "toy", now it is "other"/,
  )
})

test('the distance of directions and its gradient are those of the plain formula', () => {
  const before = tf.memory().numTensors
  tf.tidy(() => {
    const states = tf.randomNormal([2, 3, 5], 1, 3, 'float32', 4) as TfTensor
    const teacher = directions(tf.randomNormal([6, 5], 0, 1, 'float32', 5) as TfTensor)
    const weights = Float32Array.of(1, 0, 1, 1, 0, 0.5)
    const ours = (x: TfTensor) => directionLoss(x, () => teacher, weights)
    const plain = (x: TfTensor) => {
      const rows = x.reshape([6, 5])
      const far = rows
        .div(rows.norm('euclidean', 1, true))
        .sub(teacher)
        .square()
        .sum(1)
      return far.mul(tf.tensor1d(weights)).sum() as TfTensor
    }
    const [got, want] = [ours, plain].map(f => tf.valueAndGrad(f)(states, tf.scalar(0.7)))
    expect(got.value.dataSync()[0]).toBeCloseTo(want.value.dataSync()[0], 5)
    const expected = want.grad.dataSync()
    expect(Math.max(...expected)).toBeGreaterThan(0.01)
    for (const [i, v] of got.grad.dataSync().entries()) expect(v).toBeCloseTo(expected[i], 5)
  })
  expect(tf.memory().numTensors).toBe(before)
})

test('directions of the hidden states behind each block are kept when asked for, in files as in memory', async () => {
  const weights = toyWeights()
  const sequences = [{ ids: toyStream(13) }, { ids: toyStream(9) }]
  const path = join(mkdtempSync(join(tmpdir(), 'reallm-teacher-')), 'teacher')
  const options = { config: toyConfig, weights, sequences, k: 8, hidden: true }
  const batch = collate(sequences, [0, 1])
  const taught = await (await teacherLogits({ ...options, path })).of(batch)
  expect(taught).toEqual(await (await teacherLogits(options)).of(batch))
  const width = toyConfig.hiddenSize
  let x = tf.tidy(() => embed(toyConfig, weights, tf.tensor2d(batch.ids, [2, 12], 'int32')))
  for (let i = 0; i < toyConfig.layers; i++) {
    x = block(toyConfig, weights, i, x)
    const exact = directions(x).dataSync()
    const kept = f16ToF32(taught.directions![i])
    // the second sequence ends after 8 of 12 positions
    for (let at = 0; at < 20 * width; at++) expect(kept[at]).toBeCloseTo(exact[at], 3)
    expect(kept.subarray(20 * width).every(v => v === 0)).toBe(true)
  }
  await expect(teacherLogits({ ...options, path, hidden: false })).rejects.toThrow(/hidden = true/)
})
