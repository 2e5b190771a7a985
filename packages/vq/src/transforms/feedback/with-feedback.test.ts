import { dampedFactor, outputError } from '@reallm/kernels'
import {
  bitsOf,
  type ColumnCodec,
  type EncodeContext,
  type EncodedMatrix,
  type MatrixCodec,
  partsOf,
  random,
  zeroMatrix,
} from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { type GridParams, grid } from '../../grid/index.ts'
import { type TrellisParams, trellis } from '../../trellis/index.ts'
import { unitFactor } from './block-ldl.ts'
import { withFeedback } from './with-feedback.ts'

const w = normals(48, 200, 1)
const hessian = correlatedHessian(200, 2)
const outputHessian = correlatedHessian(48, 3)
const seed = 1

async function errorOf(codec: MatrixCodec<GridParams>, params: GridParams, ctx: EncodeContext) {
  const hessians = { hessian, outputHessian: ctx.outputHessian }
  return outputError(w, codec.decode(await codec.encode(w, params, ctx)), hessians)
}

test.each([8, 40, 200])('lowers the output error by half or more, groups of %i', async group => {
  const plain = await errorOf(grid, { bits: 3, group }, { hessian, seed })
  const fed = await errorOf(withFeedback(grid), { bits: 3, group }, { hessian, seed })
  expect(fed).toBeLessThan(0.5 * plain)
})

test('two-sided feedback lowers the error under both Hessians further', async () => {
  const codec = withFeedback(grid, { outputDamping: 0.01 })
  const params = { bits: 3, group: 40 }
  const hessians = { hessian, outputHessian }
  const oneSided = await codec.encode(w, params, { hessian, seed })
  const twoSided = await codec.encode(w, params, { hessian, outputHessian, seed })
  const onlyRows = await codec.encode(w, params, { outputHessian, seed })
  const plain = await grid.encode(w, params, { seed })
  const error = (e: typeof plain) => outputError(w, grid.decode(e), hessians)
  expect(error(twoSided)).toBeLessThan(0.8 * error(oneSided))
  expect(error(onlyRows)).toBeLessThan(0.8 * error(plain))
})

test('a trellis takes the scale of the columns that feedback makes wider, which lowers the error', async () => {
  const params = { bits: 2, stateBits: 8 }
  const narrow: ColumnCodec<TrellisParams> = {
    ...trellis,
    columns: (w, params, { columnVariance: _, ...ctx }) => trellis.columns(w, params, ctx),
  }
  const [wide, before] = await Promise.all(
    [trellis, narrow].map(codec => withFeedback(codec).encode(w, params, { hessian, seed })),
  )
  const scaleOf = (e: EncodedMatrix) => (e.parts.scales.data as Float32Array)[0]
  expect(scaleOf(wide)).toBeGreaterThan(1.02 * scaleOf(before))
  const error = (e: EncodedMatrix) => outputError(w, trellis.decode(e), { hessian })
  expect(error(wide)).toBeLessThan(0.97 * error(before))
})

test('a trellis gives more bits to the columns whose errors nothing repairs, at the same size', async () => {
  const params = { bits: 2, stateBits: 8 }
  const even: ColumnCodec<TrellisParams> = {
    ...trellis,
    columns: (w, params, { columnLoss: _, ...ctx }) => trellis.columns(w, params, ctx),
  }
  const [split, shared] = await Promise.all(
    [trellis, even].map(codec => withFeedback(codec).encode(w, params, { hessian, seed })),
  )
  expect(bitsOf(split)).toBe(bitsOf(shared))
  const rates = split.parts.rates.data as Uint8Array
  expect(rates[rates.length - 1]).toBeGreaterThan(rates[0])
  const error = (e: EncodedMatrix) => outputError(w, trellis.decode(e), { hessian })
  expect(error(split)).toBeLessThan(0.95 * error(shared))
})

test('without Hessians nothing changes', async () => {
  const params = { bits: 2, group: 40 }
  const fed = await withFeedback(grid).encode(w, params, { seed })
  expect(partsOf(fed)).toEqual(partsOf(await grid.encode(w, params, { seed })))
})

test('a singular Hessian is damped', async () => {
  const rankOne = zeroMatrix(200, 200)
  const { normal } = random(4)
  const x = Float32Array.from({ length: 200 }, normal)
  for (let i = 0; i < 200; i++) for (let j = 0; j < 200; j++) rankOne.data[i * 200 + j] = x[i] * x[j]
  const params = { bits: 3, group: 40 }
  const fed = await withFeedback(grid, { damping: 0 }).encode(w, params, { hessian: rankOne, seed })
  const plain = await grid.encode(w, params, { seed })
  const error = (e: typeof plain) => outputError(w, grid.decode(e), { hessian: rankOne })
  expect(error(fed)).toBeLessThan(0.1 * error(plain))
})

test('reports columns and stops on request', async () => {
  const stop = new AbortController()
  const seen: number[] = []
  const onProgress = ({ event, done }: { event: string; done: number }) => {
    if (event === 'columns-end') seen.push(done)
    stop.abort()
  }
  const work = withFeedback(grid).encode(
    w,
    { bits: 3, group: 40 },
    { hessian, seed, signal: stop.signal, onProgress },
  )
  await expect(work).rejects.toMatchObject({ code: 'aborted' })
  expect(seen.length).toBe(1)
})

test('an error is made up for by all later columns, also those that are reached in larger steps', async () => {
  const n = 600
  const wide = normals(2, n, 5)
  const h = correlatedHessian(n, 6)
  const residual = new Float32Array(2 * n)
  const oneError: ColumnCodec<GridParams> = {
    ...grid,
    async columns(...given) {
      const encoder = await grid.columns(...given)
      return {
        ...encoder,
        quantise(block, row, col) {
          for (const [i, v] of block.data.entries()) residual[i * n + col] = v
          encoder.quantise(block, row, col)
          return { ...block, data: block.data.map(v => (col === 0 ? v + 1 : v)) }
        },
      }
    },
  }
  await withFeedback(oneError).encode(wide, { bits: 3, group: 8 }, { hessian: h, seed })
  const changes = unitFactor(dampedFactor(h).factor, 1).data.subarray(0, n)
  for (let c = 1; c < n; c++) {
    for (const row of [0, n]) expect(residual[row + c]).toBeCloseTo(wide.data[row + c] + changes[c], 4)
  }
})
