import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attend, crossEntropy, embedding, linear, rmsNorm, rotate, swiglu } from './ops.ts'
import { type BackendName, listBackends, type TfTensor, tf, useBackend } from './tf.ts'

const backends = (await listBackends())
  .filter(b => b.found && (['native', 'wasm', 'cpu'] as BackendName[]).includes(b.name))
  .map(b => b.name)

type Many = (...inputs: TfTensor[]) => TfTensor

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

  /** A function and its plain form give the same values and gradients. */
  function same(ours: Many, plain: Many, shapes: number[][]) {
    tf.tidy(() => {
      const inputs = shapes.map((shape, i) => tf.randomNormal(shape, 0, 1, 'float32', i + 1) as TfTensor)
      const value = ours(...inputs)
      close(value, plain(...inputs))
      const dy = tf.randomNormal(value.shape, 0, 1, 'float32', 9)
      const want = tf.grads(plain)(inputs, dy)
      for (const [i, g] of tf.grads(ours)(inputs, dy).entries()) close(g, want[i])
    })
  }

  it('differentiates the norm, the gated unit and the rotation', () => {
    const norm = (x: TfTensor) => x.div(x.square().mean(-1, true).add(1e-3).sqrt())
    same(
      (x, w) => rmsNorm(x, w, 1e-3),
      (x, w) => norm(x).mul(w),
      [[2, 3, 5], [5]],
    )
    same(swiglu, (gate, up) => gate.mul(gate.sigmoid()).mul(up), [
      [4, 3],
      [4, 3],
    ])
    const [cos, sin] = [1, 2].map(seed => tf.randomNormal([3, 4], 0, 1, 'float32', seed) as TfTensor)
    const turned = (x: TfTensor) => {
      const [a, b] = tf.split(x, 2, -1)
      return tf.concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1)
    }
    same(x => rotate(x, cos, sin), turned, [[2, 3, 8]])
    tf.dispose([cos, sin])
  })

  it.each([undefined, 0.7])('differentiates attention, soft limit %o', softcap => {
    const hide = (scores: TfTensor) => {
      const visible = tf.linalg.bandPart(tf.ones([2, 3]) as never, -1, 0) as TfTensor
      return scores.sub(tf.sub(1, visible).mul(1e9)) as TfTensor
    }
    const plain = (q: TfTensor, k: TfTensor, v: TfTensor) => {
      const scores = tf.matMul(q, k, false, true)
      const limited = softcap === undefined ? scores : tf.tanh(scores.div(softcap)).mul(softcap)
      return tf.matMul(tf.softmax(hide(limited as TfTensor)), v) as TfTensor
    }
    same((q, k, v) => attend(q, k, v, { softcap, hide }), plain as Many, [
      [2, 2, 4],
      [2, 3, 4],
      [2, 3, 4],
    ])
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
