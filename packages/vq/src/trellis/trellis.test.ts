import { bitsPerWeight } from '@reallm/tensor-io'
import { describe, expect, it } from 'vitest'
import { conformance, normals, relativeError } from '../conformance/index.ts'
import { trellis } from './index.ts'

conformance(
  { describe, it },
  {
    codec: trellis,
    cases: [
      { params: { bits: 2, stateBits: 8 }, gaussian: 0.078, real: 0.2 },
      { params: { bits: 2, stateBits: 10 }, gaussian: 0.074, real: 0.2 },
      { params: { bits: 2, stateBits: 12 }, gaussian: 0.072, real: 0.2 },
      { params: { bits: 3, stateBits: 10 }, gaussian: 0.0198, real: 0.06 },
      { params: { bits: 3, stateBits: 12 }, gaussian: 0.0192, real: 0.06 },
      { params: { bits: 2, stateBits: 10, values: 'hash' }, gaussian: 0.081, real: 0.2 },
      { params: { bits: 1 }, gaussian: 0.28, real: 0.5 },
      { params: { bits: 4, scale: 'row' }, gaussian: 0.0053, real: 0.01 },
      { params: { bits: 2.5 }, gaussian: 0.0475, real: 0.12 },
      { params: { bits: 2, stateBits: 8, values: 'trained', tableBits: 16 }, gaussian: 0.075, real: 0.15 },
      { params: { bits: 1.5, stateBits: 8, values: 'trained' }, gaussian: 0.2, real: 0.3 },
    ],
    badShape: {
      shape: [16, 16],
      params: { bits: 2, stateBits: 11 },
      says: /no gauss table of 11 state bits; use 8, 10, 12/,
    },
  },
)

describe('trellis', () => {
  it('mixes rates over tile columns, the later ones finer', async () => {
    const w = normals(32, 64, 1)
    const e = await trellis.encode(w, { bits: 2.25, stateBits: 8 }, { seed: 1 })
    expect(Object.keys(e.parts).sort()).toEqual(['codes2', 'codes3', 'scales'])
    expect(bitsPerWeight(e)).toBeCloseTo(2.25 + 32 / (32 * 64), 9)
    const decoded = trellis.decode(e)
    const error = (from: number, to: number) => {
      let sum = 0
      for (let i = 0; i < w.data.length; i++) {
        if (i % 64 >= from && i % 64 < to) sum += (w.data[i] - decoded.data[i]) ** 2
      }
      return sum / (32 * (to - from))
    }
    expect(error(48, 64)).toBeLessThan(0.5 * error(0, 48))
  })

  it('fits its table to weights that are not normal', async () => {
    const w = normals(128, 128, 3)
    const skewed = { ...w, data: w.data.map(v => Math.sign(v) * Math.abs(v) ** 2.5) }
    const error = async (values: 'gauss' | 'trained') =>
      relativeError(
        skewed,
        trellis.decode(await trellis.encode(skewed, { bits: 2, stateBits: 8, values }, { seed: 1 })),
      )
    expect(await error('trained')).toBeLessThan(0.8 * (await error('gauss')))
  })
})
