import { matrix, ReallmError } from '@reallm/tensor-io'
import { forward, head, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { toyConfig, toyWeights } from '../../test/toy.ts'
import { tunedHead, tunedLogits, tunedStates } from './forward.ts'
import { plannedModules } from './plan.ts'
import { rowNorms, type Trainable, trainable } from './trainable.ts'
import { rowScaledLinear, tunedLinear } from './tuned-linear.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

const ids = () => tf.tensor2d([[1, 6, 11, 16, 21, 26]], [1, 6], 'int32')

/** Moves every parameter a little, so that no gradient is trivially zero. */
function disturb(parts: Trainable): void {
  let seed = 1
  for (const p of parts.parameters.values())
    p.assign(p.add(tf.randomNormal(p.shape, 0, 0.05, 'float32', seed++)))
}

test.each([{}, { rowScales: true, norms: true }, { dora: true }, { rank: 0, rowScales: 'all' as const }])(
  'fresh parts change nothing: %o',
  plan => {
    const base = toyWeights()
    const parts = trainable(toyConfig, base, { rank: 2, ...plan }, 1)
    const plain = forward(toyConfig, base, ids()).dataSync()
    const tuned = tunedLogits(toyConfig, base, parts, ids()).dataSync()
    for (const [i, v] of tuned.entries()) expect(v).toBeCloseTo(plain[i], 4)
  },
)

test('trained parts compute (W + s·BA) with its row factors', () => {
  const base = toyWeights()
  const name = 'model.layers.1.mlp.up_proj'
  const plan = { rank: (m: string) => (m === name ? 3 : 0), alpha: 6, rowScales: true }
  const parts = trainable(toyConfig, base, plan, 1)
  expect(parts.modules.map(m => [m.name, m.rank, m.scaling])).toEqual([[name, 3, 2]])
  disturb(parts)
  const [a, b, g] = ['lora_A', 'lora_B', 'row_scale'].map(part => parts.parameters.get(`${name}.${part}`)!)
  const whole = tf.mul(base[`${name}.weight`].add(tf.matMul(b, a).mul(2)), g.expandDims(1))
  const merged = forward(toyConfig, { ...base, [`${name}.weight`]: whole }, ids()).dataSync()
  for (const [i, v] of tunedLogits(toyConfig, base, parts, ids()).dataSync().entries()) {
    expect(v).toBeCloseTo(merged[i], 4)
  }
})

test('a rank for each matrix, and the scalings of LoRA and rsLoRA', () => {
  const rank = (name: string) => (name.endsWith('down_proj') ? 4 : name.includes('layers.1.mlp') ? 2 : 0)
  const scalings = (plan: object) =>
    plannedModules(toyConfig, { rank, alpha: 8, ...plan }).map(m => [m.name.slice(13), m.rank, m.scaling])
  expect(scalings({})).toEqual([
    ['0.mlp.down_proj', 4, 2],
    ['1.mlp.gate_proj', 2, 4],
    ['1.mlp.up_proj', 2, 4],
    ['1.mlp.down_proj', 4, 2],
  ])
  expect(scalings({ rsLora: true }).map(([, , s]) => s)).toEqual([4, 8 / Math.SQRT2, 8 / Math.SQRT2, 4])
})

test('row norms of W + s·BA are found without forming it', () => {
  const [w, a, b] = [
    [7, 5],
    [2, 5],
    [7, 2],
  ].map((shape, i) => tf.randomNormal(shape, 0, 1, 'float32', i + 1) as TfTensor)
  const exact = w.add(tf.matMul(b, a).mul(1.5)).square().sum(1).sqrt().dataSync()
  for (const [i, v] of rowNorms(w, a, b, 1.5).dataSync().entries()) expect(v).toBeCloseTo(exact[i], 4)
})

test('row factors alone train every matrix, with the gradients of their formula', () => {
  const parts = trainable(toyConfig, toyWeights(), { rank: 0, rowScales: 'all' }, 1)
  expect([...parts.parameters.keys()]).toEqual(parts.modules.map(({ name }) => `${name}.row_scale`))
  expect(parts.modules.length).toBe(7 * toyConfig.layers)
  tf.tidy(() => {
    const [x, w, g, dy] = [[2, 3, 5], [7, 5], [7], [2, 3, 7]].map(
      (shape, i) => tf.randomNormal(shape, 1, 1, 'float32', i + 1) as TfTensor,
    )
    const plain = (x: TfTensor, g: TfTensor) =>
      tf.matMul(x.reshape([-1, 5]), w.mul(g.expandDims(1)), false, true).reshape([2, 3, 7])
    const got = tf.grads((x: TfTensor, g: TfTensor) => rowScaledLinear(x, w, g))([x, g], dy)
    const want = tf.grads(plain)([x, g], dy)
    for (const [k, gradient] of got.entries()) {
      const [a, b] = [gradient.dataSync(), want[k].dataSync()]
      for (const [i, v] of a.entries()) expect(v).toBeCloseTo(b[i], 3)
    }
  })
})

test.each([true, false])('one layer has the gradients of its formula, row factors %o', scaled => {
  const before = tf.memory().numTensors
  tf.tidy(() => {
    const shapes = [[2, 3, 5], [2, 5], [7, 2], ...(scaled ? [[7]] : [])]
    const [x, a, b, g] = shapes.map((s, i) => tf.randomNormal(s, 1, 1, 'float32', i + 1) as TfTensor)
    const weight = tf.randomNormal([7, 5], 0, 1, 'float32', 8) as TfTensor
    const dy = tf.randomNormal([2, 3, 7], 0, 1, 'float32', 9)
    const inputs = scaled ? [x, a, b, g] : [x, a, b]
    type Many = (...inputs: TfTensor[]) => TfTensor
    const ours: Many = (x, a, b, factors) => tunedLinear(x, { weight, a, b, scaling: 1.5, factors })
    const plain: Many = (x, a, b, g) => {
      const whole = weight.add(tf.matMul(b, a).mul(1.5)) as TfTensor
      const y = tf.matMul(x.reshape([6, 5]), whole, false, true).reshape([2, 3, 7])
      return g ? y.mul(g) : y
    }
    const apart = (u: TfTensor, v: TfTensor) => u.sub(v).abs().max().dataSync()[0]
    expect(apart(ours(...inputs), plain(...inputs))).toBeLessThan(1e-4)
    const want = tf.grads(plain)(inputs, dy)
    for (const [i, got] of tf.grads(ours)(inputs, dy).entries())
      expect(apart(got, want[i])).toBeLessThan(1e-4)
  })
  expect(tf.memory().numTensors).toBe(before)
})

test('gradient checkpointing gives the same gradients', () => {
  const base = toyWeights()
  const parts = trainable(toyConfig, base, { rank: 2, dora: true, norms: true }, 1)
  disturb(parts)
  const before = tf.memory().numTensors
  const gradients = (checkpointing: boolean) => {
    const input = ids()
    const loss = () => {
      const states = tunedStates(toyConfig, base, parts, input, { checkpointing })
      return head(toyConfig, tunedHead(base, parts), states).square().mean() as never
    }
    const { value, grads } = tf.variableGrads(loss, [...parts.parameters.values()])
    const values = [...parts.parameters.values()].map(p => Array.from(grads[p.name].dataSync()))
    tf.dispose([value, input, ...Object.values(grads)])
    return values
  }
  const [plain, checkpointed] = [gradients(false), gradients(true)]
  for (const [p, values] of plain.entries()) {
    expect(values.some(v => Math.abs(v) > 1e-7)).toBe(true)
    for (const [i, v] of values.entries()) expect(checkpointed[p][i]).toBeCloseTo(v, 5)
  }
  expect(tf.memory().numTensors).toBe(before)
})

test('impossible ranks and doubled row factors are refused', () => {
  expect(() => plannedModules(toyConfig, { rank: 17 })).toThrow(/k_proj \[8×16\]|q_proj \[16×16\]/)
  expect(() => plannedModules(toyConfig, { dora: true, rowScales: true })).toThrow(ReallmError)
})

test('given factors are trained on, and widened by fresh ones that change nothing', () => {
  const base = toyWeights()
  const name = 'model.layers.0.mlp.gate_proj'
  const start = new Map([
    [
      name,
      {
        left: matrix(new Float32Array(24).fill(0.1), [24, 1]),
        right: matrix(new Float32Array(16).fill(0.2), [1, 16]),
      },
    ],
  ])
  const parts = trainable(toyConfig, base, { rank: 3, alpha: 6 }, 1, { start })
  expect(parts.parameters.get(`${name}.lora_A`)!.shape).toEqual([3, 16])
  const whole = { ...base, [`${name}.weight`]: base[`${name}.weight`].add(0.02) as TfTensor }
  const expected = forward(toyConfig, whole, ids()).dataSync()
  for (const [i, v] of tunedLogits(toyConfig, base, parts, ids()).dataSync().entries()) {
    expect(v).toBeCloseTo(expected[i], 4)
  }
})
