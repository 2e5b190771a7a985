import { random } from '@reallm/tensor-io'
import { beforeAll, describe, expect, it } from 'vitest'
import { inverseUnitLower, type Recurrence, recur } from './recurrence.ts'
import { type TfTensor, tf, useBackend } from './tf.ts'

beforeAll(() => useBackend('wasm'))

const [groups, heads, keyDim, valueDim] = [2, 3, 5, 4]

const draw = random(7)
const floats = (count: number, value = () => draw.normal()) => Float32Array.from({ length: count }, value)

const drawn = (length: number) => ({
  queries: floats(groups * length * keyDim),
  keys: floats(groups * length * keyDim, () => draw.normal() / Math.sqrt(keyDim)),
  values: floats(groups * heads * length * valueDim),
  decay: floats(groups * heads * length, () => -draw.uniform() * 0.3),
  beta: floats(groups * heads * length, () => draw.uniform()),
})
type Drawn = ReturnType<typeof drawn>

/** The recurrence as its definition says, one position after the other. */
function stepByStep(given: Drawn, length: number, delta: boolean): Float32Array {
  const y = new Float32Array(groups * heads * length * valueDim)
  for (let h = 0; h < groups * heads; h++) {
    const state = Array.from({ length: keyDim }, () => new Float64Array(valueDim))
    for (let t = 0; t < length; t++) {
      const k = (i: number) => given.keys[(Math.floor(h / heads) * length + t) * keyDim + i]
      const q = (i: number) => given.queries[(Math.floor(h / heads) * length + t) * keyDim + i]
      for (const row of state) for (const j of row.keys()) row[j] *= Math.exp(given.decay[h * length + t])
      for (let j = 0; j < valueDim; j++) {
        const v = given.values[(h * length + t) * valueDim + j]
        const known = state.reduce((sum, row, i) => sum + row[j] * k(i), 0)
        const u = delta ? given.beta[h * length + t] * (v - known) : v
        for (const [i, row] of state.entries()) row[j] += k(i) * u
        y[(h * length + t) * valueDim + j] = state.reduce((sum, row, i) => sum + row[j] * q(i), 0)
      }
    }
  }
  return y
}

const tensors = (given: Drawn, length: number, delta: boolean): Recurrence => ({
  queries: tf.tensor(given.queries, [groups, length, keyDim]),
  keys: tf.tensor(given.keys, [groups, length, keyDim]),
  values: tf.tensor(given.values, [groups, heads, length, valueDim]),
  decay: tf.tensor(given.decay, [groups, heads, length]),
  beta: delta ? tf.tensor(given.beta, [groups, heads, length]) : undefined,
  state: undefined,
})

const farthest = (a: Float32Array, b: Float32Array) => Math.max(...a.map((x, i) => Math.abs(x - b[i])))

describe.each([
  ['the plain recurrence', false],
  ['the delta rule', true],
])('%s', (_, delta) => {
  it.each([1, 7, 64, 150])('of %i positions, in chunks as step by step', length => {
    const given = drawn(length)
    tf.tidy(() => {
      const y = recur(tensors(given, length, delta)).y.dataSync() as Float32Array
      expect(farthest(y, stepByStep(given, length, delta))).toBeLessThan(1e-4)
    })
  })

  it('goes on from a state', () => {
    const given = drawn(70)
    tf.tidy(() => {
      const whole = tensors(given, 70, delta)
      const part = (from: number, to: number, state: TfTensor | undefined) => {
        const cut = (x: TfTensor, axis: number) => tf.split(x, [from, to - from, 70 - to], axis)[1]
        return recur({
          queries: cut(whole.queries, 1),
          keys: cut(whole.keys, 1),
          values: cut(whole.values, 2),
          decay: cut(whole.decay, 2),
          beta: whole.beta && cut(whole.beta, 2),
          state,
        })
      }
      const first = part(0, 20, undefined)
      const last = part(20, 70, first.state)
      const all = recur(whole)
      expect(
        farthest(
          tf.concat([first.y, last.y], 2).dataSync() as Float32Array,
          all.y.dataSync() as Float32Array,
        ),
      ).toBeLessThan(1e-5)
      expect(
        farthest(last.state.dataSync() as Float32Array, all.state.dataSync() as Float32Array),
      ).toBeLessThan(1e-5)
    })
  })

  it('has the slope of its gradient', () => {
    const given = drawn(11)
    tf.tidy(() => {
      const { queries, keys, values, decay, beta } = tensors(given, 11, delta)
      const inputs = [queries, keys, values, decay, ...(beta ? [beta] : [])]
      const weight = tf.randomNormal(values.shape, 0, 1, 'float32', 3)
      const sum = (...[queries, keys, values, decay, beta]: TfTensor[]) =>
        recur({ queries, keys, values, decay, beta, state: undefined }).y.mul(weight).sum() as TfTensor
      const gradients = tf.grads(sum)(inputs)
      for (const [i, gradient] of gradients.entries()) {
        const direction = tf.randomNormal(gradient.shape, 0, 1, 'float32', 5)
        const moved = (by: number) =>
          sum(...inputs.map((x, j) => (i === j ? x.add(direction.mul(by)) : x))).dataSync()[0]
        const slope = (moved(1e-2) - moved(-1e-2)) / 2e-2
        const want = gradient.mul(direction).sum().dataSync()[0]
        expect(Math.abs(slope - want)).toBeLessThan(2e-2 * Math.max(1, Math.abs(want)))
      }
    })
  })
})

describe('inverseUnitLower', () => {
  it('inverts where powers of the matrix grow out of bounds', () => {
    tf.tidy(() => {
      const size = 64
      const ones = tf.linalg.bandPart(tf.ones([1, size, size]), -1, 0)
      const product = tf.matMul(ones, inverseUnitLower(tf.ones([1, size, size]))).sub(tf.eye(size))
      expect(product.abs().max().dataSync()[0]).toBeLessThan(1e-6)
    })
  })
})
