import { type EncodedMatrix, type Matrix, type MatrixCodec, partsOf } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { describe, expect, test } from 'vitest'
import { gguf } from '../gguf/index.ts'
import { grid } from '../grid/index.ts'
import { kmeans } from '../kmeans/index.ts'
import { normalfloat } from '../normalfloat/index.ts'
import { trellis } from '../trellis/index.ts'
import { withFeedback } from './feedback/index.ts'
import { rotated } from './rotate.ts'

const columnsRotated = rotated(withFeedback(trellis), { output: false })

function named<P>(name: string, codec: MatrixCodec<P>, params: P, cols = 48) {
  return {
    name,
    rows: () => codec.bands?.rows(params),
    join: (bands: EncodedMatrix[]) => codec.bands!.join(bands),
    async encode(w: Matrix, hessian: Matrix, isBand: boolean) {
      return codec.encode(w, params, { seed: 3, hessian, isBand })
    },
    cols,
  }
}

describe('bands of rows, joined, have the bytes of the matrix that is encoded at once', () => {
  test.each([
    named('trellis, one rate', columnsRotated, { inner: { bits: 2, stateBits: 8, scale: 'row' } }),
    named('trellis, several rates', columnsRotated, { inner: { bits: 2.75, stateBits: 8, scale: 'row' } }),
    named('grid, a scale per row', withFeedback(grid), { bits: 5, group: 'row' }),
    named('grid, scales in 8 bits', withFeedback(grid), {
      ...{ bits: 3, group: 16, scales: 'double', symmetric: false },
    }),
    named('normalfloat', normalfloat, { bits: 4, group: 16 }),
    named('gguf Q4_0', withFeedback(gguf), { type: 'Q4_0' }, 64),
    named('gguf IQ2_XXS', withFeedback(gguf), { type: 'IQ2_XXS' }, 256),
  ])('$name', async ({ rows, join, encode, cols }) => {
    const each = Math.max(64, rows()!)
    const w = normals(2 * each + 40, cols, 1)
    // Unused tokens fill a band: too small for f16, if they were a matrix.
    w.data.fill(1e-6, each * cols, 2 * each * cols)
    const hessian = correlatedHessian(cols, 2)
    const bands: EncodedMatrix[] = []
    for (let from = 0; from < w.rows; from += each) {
      const data = w.data.subarray(from * cols, (from + each) * cols)
      bands.push(await encode({ rows: data.length / cols, cols, data }, hessian, true))
    }
    const whole = await encode(w, hessian, false)
    const joined = join(bands)
    expect(joined.shape).toEqual(whole.shape)
    const [parts, wanted] = [partsOf(joined), partsOf(whole)]
    expect(Object.keys(parts).sort()).toEqual(Object.keys(wanted).sort())
    for (const [name, part] of Object.entries(wanted)) expect(parts[name], name).toEqual(part)
  })

  test.each([
    named('one scale', columnsRotated, { inner: { bits: 2, scale: 'matrix' } }),
    named('a network', columnsRotated, { inner: { bits: 2, scale: 'row', values: 'network' } }),
    named('rotated rows', rotated(withFeedback(trellis)), { inner: { bits: 2, scale: 'row' } }),
    named('a codebook', withFeedback(kmeans), { bits: 2, dim: 2 }),
  ])('not with $name', ({ rows }) => expect(rows()).toBeUndefined())
})
