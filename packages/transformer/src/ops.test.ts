import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { crossEntropy, embedding, linear, tap } from './ops.ts'
import { type BackendName, listBackends, type TfTensor, tf, useBackend } from './tf.ts'

const backends = (await listBackends())
  .filter(b => b.found && (['native', 'wasm', 'cpu'] as BackendName[]).includes(b.name))
  .map(b => b.name)

const close = (got: TfTensor, want: TfTensor) =>
  expect(tf.max(tf.abs(tf.sub(got, want))).dataSync()[0]).toBeLessThan(1e-4)

describe.each(backends)('operations on %s', name => {
  let before = 0
  beforeAll(async () => {
    await useBackend(name)
    before = tf.memory().numTensors
  })
  afterAll(() => expect(tf.memory().numTensors).toBe(before))

  it.each([
    [1, 7, 5],
    [9, 3, 2],
    [2, 4, 33],
  ])('differentiates a layer of %d rows, %d to %d', (m, k, n) => {
    tf.tidy(() => {
      const x = tf.randomNormal([m, k], 0, 1, 'float32', 1)
      const w = tf.randomNormal([n, k], 0, 1, 'float32', 2)
      const weight = tf.randomNormal([m, n], 0, 1, 'float32', 3)
      const plain = (a: TfTensor, b: TfTensor) =>
        tf.sum(tf.mul(tf.sum(tf.mul(a.expandDims(1), b), -1), weight)) as TfTensor
      const ours = (a: TfTensor, b: TfTensor) => tf.sum(tf.mul(linear(a, b), weight)) as TfTensor
      close(ours(x, w), plain(x, w))
      const want = tf.grads(plain)([x, w])
      for (const [i, g] of tf.grads(ours)([x, w]).entries()) close(g, want[i])
    })
  })

  it('keeps the leading axes of a linear layer', () => {
    tf.tidy(() => {
      const x = tf.randomNormal([2, 3, 4])
      const w = tf.randomNormal([5, 4])
      close(linear(x, w), tf.sum(tf.mul(x.expandDims(2), w), -1))
    })
  })

  it('adds up the gradients of a row looked up twice', () => {
    tf.tidy(() => {
      const ids = tf.tensor2d(
        [
          [1, 3],
          [3, 0],
        ],
        [2, 2],
        'int32',
      )
      const table = tf.range(0, 8).reshape([4, 2])
      close(
        embedding(table, ids),
        tf.tensor([
          [
            [2, 3],
            [6, 7],
          ],
          [
            [6, 7],
            [0, 1],
          ],
        ]),
      )
      close(
        tf.grad(t => tf.sum(embedding(t, ids)))(table),
        tf.tensor([
          [1, 1],
          [1, 1],
          [0, 0],
          [2, 2],
        ]),
      )
    })
  })

  it('differentiates cross-entropy', () => {
    tf.tidy(() => {
      const logits = tf.tensor2d([
        [1, 2, 3],
        [0, -1, 4],
      ])
      const labels = tf.tensor1d([2, 1], 'int32')
      const chosen = tf.tensor2d([
        [0, 0, 1],
        [0, 1, 0],
      ])
      const plain = (x: TfTensor) => tf.sum(tf.mul(tf.neg(tf.logSoftmax(x)), chosen), -1) as TfTensor
      close(crossEntropy(logits, labels), plain(logits))
      const dy = tf.tensor1d([1, 0.5])
      close(tf.grad(x => crossEntropy(x, labels))(logits, dy), tf.grad(plain)(logits, dy))
    })
  })

  it('shows a gradient on its way', () => {
    tf.tidy(() => {
      const seen: number[][] = []
      const x = tf.tensor1d([1, 2])
      const f = (v: TfTensor) =>
        tap(v.mul(3), g => void seen.push([...g.dataSync()]))
          .square()
          .sum()
      close(tf.grad(f as (v: TfTensor) => TfTensor)(x), tf.tensor1d([18, 36]))
      expect(seen).toEqual([[6, 12]])
    })
  })

  it('computes no gradient of a frozen operand', async () => {
    const x = tf.ones([2, 3])
    const w = tf.ones([4, 3])
    const products = async (f: () => TfTensor[]) => {
      const { kernels, result } = await tf.profile(() =>
        tf.tidy(() => tf.sum(tf.stack(f().map(g => tf.sum(g))))),
      )
      tf.dispose(result as TfTensor)
      return kernels.filter(k => k.name === 'BatchMatMul').length
    }
    expect(await products(() => tf.grads((v: TfTensor) => linear(v, w))([x]))).toBe(2)
    expect(await products(() => tf.grads((v: TfTensor, u: TfTensor) => linear(v, u))([x, w]))).toBe(3)
    tf.dispose([x, w])
  })
})
