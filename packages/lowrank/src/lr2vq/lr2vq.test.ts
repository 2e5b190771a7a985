import { matmul, outputError } from '@reallm/kernels'
import { bitsOf, partsOf } from '@reallm/tensor-io'
import { distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { lr2vq, projectedCodebook } from './index.ts'

const decode = ({ codebook, projection, codes }: ReturnType<typeof projectedCodebook>) => {
  const table = matmul(codebook, projection)
  const out = new Float32Array(codes.length * table.cols)
  for (let i = 0; i < codes.length; i++) {
    out.set(table.data.subarray(codes[i] * table.cols, (codes[i] + 1) * table.cols), i * table.cols)
  }
  return { rows: codes.length, cols: table.cols, data: out }
}

test('alternation lowers the error; more dimensions lower it further', () => {
  const points = normals(2000, 8, 1)
  const error = (dim: number, iterations: number) =>
    distance(points, decode(projectedCodebook(points, { size: 32, dim, seed: 1, iterations })))
  expect(error(4, 10)).toBeLessThan(error(4, 1))
  expect(error(8, 10)).toBeLessThan(error(4, 10))
  expect(error(4, 10)).toBeLessThan(error(2, 10))
})

test('finds clusters that lie in a subspace', () => {
  const centres = matmul(normals(16, 2, 1), normals(2, 6, 2))
  const noise = normals(1600, 6, 3)
  const points = {
    ...noise,
    data: noise.data.map((v, i) => 0.01 * v + 5 * centres.data[(Math.floor(i / 6) % 16) * 6 + (i % 6)]),
  }
  const found = projectedCodebook(points, { size: 16, dim: 2, seed: 4 })
  expect(distance(points, decode(found))).toBeLessThan(0.02)
  const gramOf = matmul(found.projection, found.projection, { transposeB: true }).data
  for (const [i, v] of gramOf.entries()) expect(v).toBeCloseTo(i % 3 === 0 ? 1 : 0, 5)
})

const w = normals(40, 66, 1)
const params = { codeBits: 6, vector: 4, dim: 3 }

test('stored, counted, decoded whole and by rows; the last vector may be cut', async () => {
  const stored = await lr2vq.encode(w, params, { seed: 1 })
  expect(bitsOf(stored)).toBe(bitsOf(lr2vq.cost([40, 66], params)))
  const decoded = lr2vq.decode(stored)
  expect(outputError(w, decoded)).toBeLessThan(0.35)
  expect(lr2vq.decodeRows!(stored, 3, 5).data).toEqual(decoded.data.slice(3 * 66, 5 * 66))
})

test('column by column gives what a plain encode gives', async () => {
  const encoder = await lr2vq.columns(w, params, { seed: 1 })
  for (let col = 0; col < 66; col += 4) {
    const width = Math.min(4, 66 - col)
    const block = { rows: 40, cols: width, data: new Float32Array(40 * width) }
    for (let i = 0; i < block.data.length; i++)
      block.data[i] = w.data[Math.floor(i / width) * 66 + col + (i % width)]
    encoder.quantise(block, 0, col)
  }
  expect(partsOf(encoder.finish())).toEqual(partsOf(await lr2vq.encode(w, params, { seed: 1 })))
  await expect(lr2vq.columns(w, { ...params, dim: 5 }, { seed: 1 })).rejects.toThrow('larger than vector')
  const unfinished = await lr2vq.columns(w, params, { seed: 1 })
  expect(() => unfinished.finish()).toThrow('not every tile')
})
