import { outputError } from '@reallm/kernels'
import {
  bitsOf,
  createRegistry,
  defineCodec,
  type Matrix,
  type MatrixCodec,
  partsOf,
  tensor,
} from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { applyLowRank, lowRankOf } from '../lowrank/index.ts'
import { lowRankResidual, type PlusLowRankOptions, plusLowRank, withLowRank } from './index.ts'

/** Rounds to multiples of `step`, a stand-in for a codec of another package. */
const rounding: MatrixCodec<{ step: number }> = defineCodec({
  layout: {
    codec: 'rounding',
    params: { step: { number: { above: 0 } } },
    parts: ([rows, cols]) => ({ codes: { dtype: 'I8', shape: [rows, cols] } }),
  },
  async encode({ rows, cols, data }, { step }) {
    const codes = Int8Array.from(data, v => Math.max(-2, Math.min(1, Math.floor(v / step))))
    return { parts: { codes: tensor('I8', [rows, cols], codes) } }
  },
  decode: ({ parts, shape: [rows, cols], params: { step } }) => ({
    rows,
    cols,
    data: Float32Array.from(parts.codes.data as Int8Array, code => (code + 0.5) * step),
  }),
})

/** Noise plus a strong part of rank 2. */
function structured(): Matrix {
  const w = normals(40, 64, 1)
  for (let i = 0; i < 40; i++) {
    for (let j = 0; j < 64; j++)
      w.data[i * 64 + j] += 3 * Math.sin(i) * Math.cos(0.3 * j) + 2 * Math.cos(i) * Math.sin(0.7 * j)
  }
  return w
}

const w = structured()
const hessian = correlatedHessian(64, 2)
const params = { inner: { step: 1 } }
const errorOf = async (codec: MatrixCodec<typeof params>, ctx: { hessian?: Matrix }) =>
  outputError(w, codec.decode(await codec.encode(w, params, { ...ctx, seed: 1 })), ctx)

test('finds the low-rank part, and more rounds never hurt', async () => {
  for (const ctx of [{}, { hessian }]) {
    const alone = await errorOf(plusLowRank({ rank: 0 }, rounding), ctx)
    const once = await errorOf(plusLowRank({ rank: 3, rounds: 1 }, rounding), ctx)
    const often = await errorOf(plusLowRank({ rank: 3, rounds: 30 }, rounding), ctx)
    expect(once).toBeLessThan(0.3 * alone)
    expect(often).toBeLessThan(0.99 * once)
  }
})

/** The same Hessians with columns of very different strength. */
const strength = (j: number) => 10 ** Math.sin(5 * j)
const uneven = {
  ...hessian,
  data: hessian.data.map((v, i) => v * strength(i % 64) * strength(Math.floor(i / 64))),
}
const weightings = ['full', 'diagonal', 'none'] as const
const under = (hessian: Matrix, options: PlusLowRankOptions) =>
  Promise.all(
    weightings.map(weighting =>
      errorOf(plusLowRank({ rank: 6, ...options, weighting }, rounding), { hessian }),
    ),
  )

test.each([2, 4, 8])('CALDERA ≤ LQ-LoRA ≤ plain in output error, factors on %i bits', async bits => {
  for (const each of [hessian, uneven]) {
    const [caldera, fisher, plain] = await under(each, { bits, starts: 'each' })
    expect(caldera).toBeLessThanOrEqual(fisher)
    expect(fisher).toBeLessThanOrEqual(plain)
    expect(caldera).toBeLessThan(plain)
  }
})

test('so do the three alternations alone where Hessians are uneven and factors have 8 bits', async () => {
  const [caldera, fisher, plain] = await under(uneven, { bits: 8 })
  expect(caldera).toBeLessThan(fisher)
  expect(fisher).toBeLessThan(plain)
})

test('every stored tensor is in the cost; decoding goes through a registry', async () => {
  for (const own of [{ rank: 0 }, { rank: 3, bits: 4 }, { rank: 5, bits: 16 }]) {
    const codec = plusLowRank({ bits: 8, rounds: 2 }, rounding)
    const stored = await codec.encode(w, { ...own, ...params }, { seed: 1 })
    expect(bitsOf(stored)).toBe(bitsOf(codec.cost([40, 64], { ...own, ...params })))
    expect(createRegistry([rounding], [lowRankResidual]).decode(stored)).toEqual(codec.decode(stored))
  }
})

test('the same seed gives the same bytes', async () => {
  const codec = plusLowRank({ rank: 3, rounds: 3 }, rounding)
  const encode = async () => partsOf(await codec.encode(w, params, { hessian, seed: 9 }))
  expect(await encode()).toEqual(await encode())
})

test('trained factors are stored in place of the first ones, or on a matrix that has none', async () => {
  const codec = plusLowRank({ rank: 3, rounds: 2 }, rounding)
  const stored = await codec.encode(w, params, { seed: 1 })
  const factors = lowRankOf(stored)
  const doubled = { left: { ...factors.left, data: factors.left.data.map(v => 2 * v) }, right: factors.right }
  const changed = withLowRank(stored, doubled, 16)
  expect(outputError(codec.decode(stored), codec.decode(changed))).toBeGreaterThan(0.1)
  const x = normals(4, 64, 3)
  const [a, b] = [applyLowRank(lowRankOf(changed), x), applyLowRank(doubled, x)]
  for (const [i, value] of a.data.entries()) expect(value).toBeCloseTo(b.data[i], 1)

  const bare = await rounding.encode(w, params.inner, { seed: 1 })
  const dressed = withLowRank(bare, factors, 8)
  expect(createRegistry([rounding], [lowRankResidual]).decode(dressed).data.length).toBe(40 * 64)
  expect(dressed.inner).toBe(bare)
})

test('stops on request and tells how far it is', async () => {
  const stop = new AbortController()
  const codec = plusLowRank({ rank: 3, rounds: 30, tolerance: 0 }, rounding)
  const errors: number[] = []
  const work = codec.encode(w, params, {
    seed: 1,
    signal: stop.signal,
    onProgress({ event, error }) {
      if (event !== 'round-end') return
      errors.push(error!)
      if (errors.length === 3) stop.abort()
    },
  })
  await expect(work).rejects.toMatchObject({ code: 'aborted' })
  expect(errors[2]).toBeLessThanOrEqual(errors[0])
})

test('a missing part or wrapped matrix is refused by name', async () => {
  const codec = plusLowRank({ rank: 3, rounds: 1 }, rounding)
  const { inner, ...stored } = await codec.encode(w, params, { seed: 1 })
  expect(() => codec.decode(stored)).toThrow('the wrapped matrix is missing')
  expect(() => codec.decode({ ...stored, inner: inner!, parts: {} })).toThrow('lowrank_a')
  await expect(codec.encode(w, { rank: 41, ...params }, { seed: 1 })).rejects.toThrow('rank 41')
})
