import {
  type CodecWrapper,
  createRegistry,
  defineCodec,
  type EncodedMatrix,
  type Fields,
  type Matrix,
  type Registry,
  type StoredLayout,
  tensor,
  toMatrix,
} from '@reallm/tensor-io'
import { coarse } from '@reallm/testing'
import { type ModelWeights, openWeights } from '@reallm/transformer'
import type { FactorStore, Factors } from '../src/index.ts'
import { rowScaled } from '../src/index.ts'

const params = { rank: { whole: [0] } } as const satisfies Fields
const layout: StoredLayout<typeof params> = {
  codec: 'toy-lowrank',
  wraps: true,
  params,
  parts: ([rows, cols], { rank }) => ({
    left: { dtype: 'F32', shape: [rows, rank] },
    right: { dtype: 'F32', shape: [rank, cols] },
  }),
}

/** A stored matrix plus the product of two plain factors. */
const toyLowRank: CodecWrapper = {
  layout,
  wrap: codec =>
    defineCodec({
      layout,
      inner: codec,
      encode: async () => {
        throw new Error('made by withFactors only')
      },
      decode(e, inner) {
        const { left, right } = factorsOf(e)
        const sum = codec.decode(inner)
        return {
          ...sum,
          data: sum.data.map((v, i) => v + dot(left, right, Math.floor(i / sum.cols), i % sum.cols)),
        }
      },
    }),
}

const dot = (left: Matrix, right: Matrix, row: number, col: number) => {
  let sum = 0
  for (let k = 0; k < right.rows; k++)
    sum += left.data[row * right.rows + k] * right.data[k * right.cols + col]
  return sum
}

const factorsOf = (e: EncodedMatrix): Factors => ({
  left: toMatrix(e.parts.left),
  right: toMatrix(e.parts.right),
})

export const toyStore: FactorStore = {
  factorsOf: e => (e.codec === 'toy-lowrank' ? factorsOf(e) : undefined),
  withFactors(e, { left, right }) {
    const inner = e.codec === 'toy-lowrank' ? e.inner! : e
    const parts = {
      left: tensor('F32', [left.rows, left.cols], left.data as Float32Array<ArrayBuffer>),
      right: tensor('F32', [right.rows, right.cols], right.data as Float32Array<ArrayBuffer>),
    }
    const params = { rank: right.rows, inner: inner.params }
    return { codec: 'toy-lowrank', params, shape: e.shape, parts, inner }
  },
}

export const toyRegistry: Registry = createRegistry([coarse], [toyLowRank, rowScaled])

export const openToy = (directory: string): Promise<ModelWeights> =>
  openWeights(directory, { registry: toyRegistry })
