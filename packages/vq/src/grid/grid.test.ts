import { bitsOf } from '@reallm/tensor-io'
import { conformance } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { grid, integerParams, storeIntegers } from './index.ts'

conformance(
  { describe, it },
  {
    codec: grid,
    cases: [
      { params: { bits: 3 }, gaussian: 0.035, real: 0.05 },
      { params: { bits: 3, symmetric: false }, gaussian: 0.04, real: 0.05 },
      { params: { bits: 2, group: 32, scales: 'double' }, gaussian: 0.115, real: 0.16 },
      { params: { bits: 1, group: 'row' }, gaussian: 0.37, real: 0.5 },
      { params: { bits: 4, clip: 'absmax', scales: 'f32' }, gaussian: 0.012, real: 0.02 },
      { params: { bits: 8, group: 'row' }, gaussian: 0.0001, real: 0.0002 },
    ],
    badShape: {
      shape: [576, 1536],
      params: { bits: 3, group: 100 },
      says: /\[576×1536\]: group 100 does not divide 1536; use 64, 96, 128/,
    },
  },
)

describe('grid', () => {
  it('chooses the scales of a group again when it starts', async () => {
    const w = { rows: 1, cols: 64, data: new Float32Array(64).fill(1) }
    const encoder = await grid.columns(w, { bits: 4 }, { seed: 1 })
    encoder.startGroup?.({ ...w, data: w.data.map((_, i) => (i === 0 ? 10 : 5)) }, 0)
    const block = { rows: 1, cols: 1, data: Float32Array.of(10) }
    expect(encoder.quantise(block, 0, 0).data[0]).toBeGreaterThan(9)
  })

  it('keeps values on the grid exactly', async () => {
    const w = { rows: 1, cols: 4, data: Float32Array.of(-1.5, -0.5, 0.5, 1.5) }
    const e = await grid.encode(w, { bits: 2, group: 'row' }, { seed: 1 })
    expect(Array.from(grid.decode(e).data)).toEqual([-1.5, -0.5, 0.5, 1.5])
  })

  it('stores integers with their steps as they are', () => {
    const codes = Int8Array.of(-4, 3, 0, -1, 2, 1)
    const steps = Float32Array.of(0.3, 1e-7)
    const e = storeIntegers({ rows: 2, cols: 3, codes, steps }, 3)
    expect(grid.decode(e).data).toEqual(Float32Array.from(codes, (c, i) => c * steps[Math.floor(i / 3)]))
    expect(bitsOf(e)).toBe(bitsOf(grid.cost([2, 3], integerParams(3))))
  })

  it('refuses scales that f16 cannot hold', async () => {
    const w = { rows: 1, cols: 4, data: new Float32Array(4).fill(1e-9) }
    await expect(grid.encode(w, { bits: 2, group: 'row' }, { seed: 1 })).rejects.toThrow(/f16/)
  })
})
