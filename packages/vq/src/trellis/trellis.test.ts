import { bitsPerWeight } from '@reallm/tensor-io'
import { conformance, normals, relativeError } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { fitShared, trellis, trellisWith } from './index.ts'

conformance(
  { describe, it },
  {
    codec: trellis,
    cases: [
      { params: { bits: 2, stateBits: 8 }, gaussian: 0.078, real: 0.2 },
      { params: { bits: 2, stateBits: 10 }, gaussian: 0.074, real: 0.2 },
      { params: { bits: 2, stateBits: 12 }, gaussian: 0.072, real: 0.2 },
      { params: { bits: 2, stateBits: 14 }, gaussian: 0.0705, real: 0.2 },
      { params: { bits: 3, stateBits: 10 }, gaussian: 0.0198, real: 0.06 },
      { params: { bits: 3, stateBits: 12 }, gaussian: 0.0192, real: 0.06 },
      { params: { bits: 1 }, gaussian: 0.28, real: 0.5 },
      { params: { bits: 4, scale: 'row' }, gaussian: 0.0053, real: 0.01 },
      { params: { bits: 5 }, gaussian: 0.0016, real: 0.03 },
      { params: { bits: 2.5 }, gaussian: 0.039, real: 0.12 },
      { params: { bits: 2.3, stateBits: 8 }, gaussian: 0.057, real: 0.15 },
      { params: { bits: 2, stateBits: 8, values: 'network', hidden: 6 }, gaussian: 0.078, real: 0.1 },
      { params: { bits: 1.25, stateBits: 9, values: 'network', hidden: 4 }, gaussian: 0.24, real: 0.3 },
    ],
    badShape: {
      shape: [16, 16],
      params: { bits: 5.5, stateBits: 8 },
      says: /8 state bits code at most 5 bits per weight; raise stateBits to 9 or more/,
    },
  },
)

describe('trellis', () => {
  it('codes quarters of a bit in one path, which errs less than a mix of whole rates', async () => {
    const w = normals(64, 64, 1)
    const error = async (bits: number) => {
      const e = await trellis.encode(w, { bits }, { seed: 1 })
      expect(bitsPerWeight(e)).toBeCloseTo(bits + (32 + 4 * 8) / (64 * 64), 9)
      return relativeError(w, trellis.decode(e))
    }
    expect(await error(2.5)).toBeLessThan(0.88 * (((await error(2)) + (await error(3))) / 2))
  })

  it('mixes other rates over tile columns, the later ones finer', async () => {
    const e = await trellis.encode(normals(32, 64, 1), { bits: 2.3, stateBits: 8 }, { seed: 1 })
    expect(Object.keys(e.parts).sort()).toEqual(['codes', 'rates', 'scales'])
    expect(Array.from(e.parts.rates.data as Uint8Array)).toEqual([9, 9, 9, 10])
    expect(bitsPerWeight(e)).toBeCloseTo(2.3125 + (32 + 4 * 8) / (32 * 64), 9)
  })

  it('fits a network to weights that are not normal', async () => {
    const w = normals(128, 128, 3)
    const skewed = { ...w, data: w.data.map(v => Math.sign(v) * Math.abs(v) ** 2.5) }
    const error = async (values: 'gauss' | 'network') =>
      relativeError(
        skewed,
        trellis.decode(await trellis.encode(skewed, { bits: 2, stateBits: 8, values }, { seed: 1 })),
      )
    expect(await error('network')).toBeLessThan(0.8 * (await error('gauss')))
  })

  it('shares a network between matrices: the same tensors in each, as good as a table of their own', async () => {
    const group = [1, 2].map(seed => {
      const w = normals(64, 96, seed)
      return { ...w, data: w.data.map(v => Math.sign(v) * Math.abs(v) ** 2) }
    })
    const params = { bits: 2, stateBits: 8, values: 'network' } as const
    const shared = trellisWith(await fitShared(group, params, { seed: 1 }))
    const [first, second] = await Promise.all(group.map(w => shared.encode(w, params, { seed: 1 })))
    expect(first.parts.network2.data).toEqual(second.parts.network2.data)
    const fixed = await trellis.encode(group[1], { bits: 2, stateBits: 8 }, { seed: 1 })
    expect(relativeError(group[1], trellis.decode(second))).toBeLessThan(
      0.85 * relativeError(group[1], trellis.decode(fixed)),
    )
    await expect(fitShared([normals(16, 16, 1), normals(16, 32, 1)], params, { seed: 1 })).rejects.toThrow(
      'the same width',
    )
  })

  it('reads parameters that older artifacts hold, with the only value that is left of them', async () => {
    const e = await trellis.encode(normals(16, 32, 1), { bits: 2 }, { seed: 1 })
    const older = { ...e, params: { ...(e.params as object), tableBits: 8, gain: 1 } }
    expect(trellis.decode(older)).toEqual(trellis.decode(e))
    const other = { ...older, params: { ...older.params, gain: 2 } }
    expect(() => trellis.decode(other)).toThrow(/no parameter "gain"/)
  })
})
