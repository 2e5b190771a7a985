import { conformance } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { normalfloat, normalfloatLevels } from './index.ts'

conformance(
  { describe, it },
  {
    codec: normalfloat,
    cases: [
      { params: { bits: 4 }, gaussian: 0.009, real: 0.015 },
      { params: { bits: 3 }, gaussian: 0.041, real: 0.05 },
      { params: { bits: 3, clip: 'mse' }, gaussian: 0.032, real: 0.04 },
      { params: { bits: 2, clip: 'mse', scales: 'f16' }, gaussian: 0.145, real: 0.2 },
    ],
    badShape: {
      shape: [576, 1536],
      params: { bits: 4, group: 100 },
      says: /group 100 does not divide 1536; use 64, 96, 128/,
    },
  },
)

describe('normalfloat', () => {
  it('has the levels of QLoRA at 4 bits', () => {
    const published = [
      -1, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.09105, 0, 0.0795803, 0.1609302,
      0.2461123, 0.3379152, 0.4407098, 0.562617, 0.7229568, 1,
    ]
    const levels = normalfloatLevels(4)
    expect(levels.length).toBe(16)
    published.forEach((level, i) => {
      expect(levels[i]).toBeCloseTo(level, 5)
    })
  })

  it('stores exact zeros', async () => {
    const data = Float32Array.from({ length: 128 }, (_, i) => (i % 3 === 0 ? 0 : Math.sin(i)))
    const e = await normalfloat.encode({ rows: 2, cols: 64, data }, { bits: 2 }, { seed: 1 })
    const decoded = normalfloat.decode(e).data
    expect(decoded.filter((_, i) => i % 3 === 0).every(v => v === 0)).toBe(true)
  })
})
