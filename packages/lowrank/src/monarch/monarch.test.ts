import { matmul, outputError } from '@reallm/kernels'
import { bitsOf, createRegistry } from '@reallm/tensor-io'
import { correlatedHessian, distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { lowrank } from '../lowrank/index.ts'
import {
  applyMonarch,
  monarch,
  monarchBlocks,
  monarchCodec,
  monarchOf,
  monarchResidual,
  monarchToDense,
  plusMonarch,
} from './index.ts'

const shapes = [
  { rows: 16, cols: 16, inBlocks: 4, outBlocks: 4, rank: 1 },
  { rows: 12, cols: 30, inBlocks: 5, outBlocks: 3, rank: 1 },
  { rows: 24, cols: 20, inBlocks: 4, outBlocks: 6, rank: 2 },
]

function example({ rows, cols, inBlocks, outBlocks, rank }: (typeof shapes)[number]) {
  const left = normals(rows, inBlocks * rank, 1)
  const right = normals(inBlocks * outBlocks * rank, cols / inBlocks, 2)
  return { inBlocks, outBlocks, rank, left, right }
}

test.each(shapes)('projection gives a Monarch matrix back: $rows × $cols', shape => {
  const dense = monarchToDense(example(shape))
  expect(distance(dense, monarchToDense(monarch(dense, shape)))).toBeLessThan(1e-10)
})

test.each(shapes)('multiplies as a structure: $rows × $cols', shape => {
  const m = example(shape)
  const x = normals(3, shape.cols, 5)
  expect(distance(matmul(x, monarchToDense(m), { transposeB: true }), applyMonarch(m, x))).toBeLessThan(1e-10)
})

test('square case: M = P L Pᵀ R with block-diagonal L and R', () => {
  const m = example(shapes[0])
  const n = 16
  const blockDiagonal = (blocks: Float32Array) => {
    const out = new Float32Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < 4; j++) out[i * n + 4 * Math.floor(i / 4) + j] = blocks[i * 4 + j]
    return { rows: n, cols: n, data: out }
  }
  const p = { rows: n, cols: n, data: new Float32Array(n * n) }
  for (let i = 0; i < n; i++) p.data[i * n + 4 * (i % 4) + Math.floor(i / 4)] = 1
  const [l, r] = [blockDiagonal(m.left.data), blockDiagonal(m.right.data)]
  const product = matmul(p, matmul(l, matmul(p, r, { transposeA: true })))
  expect(distance(product, monarchToDense(m))).toBeLessThan(1e-10)
})

test('no other Monarch matrix is nearer', () => {
  const w = normals(16, 16, 3)
  const m = monarch(w, shapes[0])
  const error = distance(w, monarchToDense(m))
  for (const seed of [1, 2, 3]) {
    const nudge = normals(16, 4, seed)
    const moved = { ...m, left: { ...m.left, data: m.left.data.map((v, i) => v + 0.05 * nudge.data[i]) } }
    expect(distance(w, monarchToDense(moved))).toBeGreaterThan(error)
  }
})

test('Hessians weight the projection', () => {
  const w = normals(24, 40, 3)
  const hessian = correlatedHessian(40, 4)
  const strong = {
    ...hessian,
    data: hessian.data.map((v, i) => v * 4 ** (Math.sin(i % 40) + Math.sin(Math.floor(i / 40)))),
  }
  const shape = { inBlocks: 4, outBlocks: 4, rank: 1 }
  const error = (hessians: object) =>
    outputError(w, monarchToDense(monarch(w, { ...shape, ...hessians })), { hessian: strong })
  expect(error({ hessian: strong })).toBeLessThan(error({}))
})

test('blocks near the square root; what does not divide is refused', () => {
  expect(monarchBlocks(1536, 576)).toEqual({ inBlocks: 24, outBlocks: 32 })
  expect(() => monarch(normals(12, 20, 1), { inBlocks: 3, outBlocks: 3, rank: 1 })).toThrow('do not divide')
  expect(() => monarchCodec.cost([12, 20], { inBlocks: 10, rank: 3 })).toThrow('at most rank 2')
})

test('stored, counted, decoded', async () => {
  const w = normals(24, 40, 3)
  for (const params of [{}, { bits: 4, rank: 2 }, { bits: 8, inBlocks: 2, outBlocks: 8 }]) {
    const stored = await monarchCodec.encode(w, params, { seed: 1 })
    expect(bitsOf(stored)).toBe(bitsOf(monarchCodec.cost([24, 40], params)))
    const x = normals(2, 40, 5)
    const y = applyMonarch(monarchOf(stored), x)
    expect(distance(matmul(x, monarchCodec.decode(stored), { transposeB: true }), y)).toBeLessThan(1e-10)
  }
})

test('as a structured residual beside another codec', async () => {
  const w = normals(24, 40, 3)
  const dense = monarchToDense(monarch(normals(24, 40, 8), { ...monarchBlocks(24, 40), rank: 1 }))
  for (let i = 0; i < w.data.length; i++) w.data[i] = 0.2 * w.data[i] + dense.data[i]
  const codec = plusMonarch({ bits: 8, rounds: 4 }, lowrank)
  const params = { inner: { rank: 2 } }
  const stored = await codec.encode(w, params, { seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(codec.cost([24, 40], params)))
  expect(createRegistry([lowrank], [monarchResidual]).decode(stored)).toEqual(codec.decode(stored))
  const alone = await monarchCodec.encode(w, { bits: 8 }, { seed: 1 })
  expect(outputError(w, codec.decode(stored))).toBeLessThan(0.9 * outputError(w, monarchCodec.decode(alone)))
})
