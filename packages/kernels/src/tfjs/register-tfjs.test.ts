import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { beforeAll, expect, test } from 'vitest'
import { distance } from '../../test/random-matrix.ts'
import { registerTfjs } from './register-tfjs.ts'

beforeAll(async () => {
  const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')
  setWasmPaths(dirname(main) + sep)
  tf.env().set('PROD', true)
  await tf.setBackend('wasm')
  expect(registerTfjs(tf)).toEqual([
    'BatchMatMul',
    '_FusedMatMul',
    'Identity',
    'Conv2DBackpropFilter',
    'UnsortedSegmentSum',
  ])
  expect(registerTfjs(tf)).toEqual([])
})

/** The same computation on wasm and on tfjs's plain backend; no tensor may be left over. */
async function expectAsOnCpu(work: () => tf.Tensor): Promise<void> {
  const results: { data: Float32Array; shape: number[] }[] = []
  for (const backend of ['wasm', 'cpu']) {
    await tf.setBackend(backend)
    const before = tf.memory().numTensors
    const y = tf.tidy(work)
    results.push({ data: (await y.data()) as Float32Array, shape: y.shape })
    y.dispose()
    expect(tf.memory().numTensors).toBe(before)
  }
  expect(results[0].shape).toEqual(results[1].shape)
  expect(distance(results[0], results[1])).toBeLessThan(1e-4)
}

test('a copy takes no memory, and outlives the original', async () => {
  await tf.setBackend('wasm')
  const original = tf.tensor1d([1, 2, 3])
  const before = tf.memory().numDataBuffers
  const copy = original.clone()
  expect(tf.memory().numDataBuffers).toBe(before)
  original.dispose()
  expect(copy.dataSync()).toEqual(Float32Array.of(1, 2, 3))
  copy.dispose()
  expect(tf.memory().numDataBuffers).toBe(before - 1)
})

const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed)

test.each([
  [
    [5, 40],
    [40, 9],
  ],
  [
    [3, 33, 17],
    [3, 17, 20],
  ],
  [
    [3, 33, 17],
    [17, 20],
  ],
  [
    [2, 2, 8, 16],
    [2, 2, 16, 8],
  ],
  [
    [1, 8, 16],
    [4, 16, 8],
  ],
  [
    [0, 16],
    [16, 8],
  ],
])('products of %j and %j, either side transposed', async (a, b) => {
  const swapped = (s: number[]) => [...s.slice(0, -2), s.at(-1)!, s.at(-2)!]
  for (const ta of [false, true]) {
    for (const tb of [false, true]) {
      await expectAsOnCpu(() =>
        tf.matMul(normal(ta ? swapped(a) : a, 1), normal(tb ? swapped(b) : b, 2), ta, tb),
      )
    }
  }
})

test.each(['linear', 'relu', 'sigmoid', 'elu'] as const)(
  'fused product with bias and %s',
  async activation => {
    const fused = (a: number[]) =>
      tf.fused.matMul({
        a: normal(a, 1) as tf.Tensor2D,
        b: normal([7, 12], 2),
        transposeB: true,
        bias: normal([7], 3),
        activation,
      })
    await expectAsOnCpu(() => fused([5, 12]))
  },
)

test.each([
  [3, 1, 'same'],
  [3, 2, 'same'],
  [5, 2, 'valid'],
  [1, 1, 'valid'],
  [3, 1, 1],
] as const)('filter gradient of a convolution %i, stride %i, %s', async (size, stride, pad) => {
  await expectAsOnCpu(() => {
    const x = normal([2, 9, 11, 3], 1) as tf.Tensor4D
    const loss = (w: tf.Tensor) => tf.sum(tf.square(tf.conv2d(x, w as tf.Tensor4D, stride, pad)))
    return tf.mul(tf.grad(loss)(normal([size, size, 3, 4], 2)), 0.01)
  })
})

test('gradient of a row lookup', async () => {
  await expectAsOnCpu(() => {
    const ids = tf.tensor1d([3, 0, 3, 4, 3], 'int32')
    const weight = normal([5, 6], 2)
    return tf.grad((t: tf.Tensor) => tf.sum(tf.mul(tf.gather(t, ids), weight)))(normal([8, 6], 1))
  })
})

test('gradients through products', async () => {
  await expectAsOnCpu(() => {
    const x = normal([4, 10, 12], 1)
    return tf
      .grad((w: tf.Tensor) => tf.sum(tf.square(tf.matMul(x, w, false, true))))(normal([4, 6, 12], 2))
      .mul(0.01)
  })
})
