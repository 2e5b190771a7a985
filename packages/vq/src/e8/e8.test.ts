import { conformance, normals } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { e8 } from './index.ts'
import { DIM, decodeE8, nearestE8, shortE8 } from './lattice.ts'

conformance(
  { describe, it },
  {
    codec: e8,
    cases: [
      { params: { bits: 2 }, gaussian: 0.092, real: 0.25 },
      { params: { bits: 3 }, gaussian: 0.034, real: 0.1 },
      { params: { bits: 4, scale: 'row' }, gaussian: 0.009, real: 0.03 },
    ],
    skip: { 'bad shape': 'every shape fits' },
  },
)

describe('the codebook of e8', () => {
  it('holds 2^16 different points, whose codes are found again', () => {
    const points = new Set<string>()
    const point = new Float32Array(DIM)
    for (let code = 0; code < 65536; code++) {
      decodeE8(code, 1, point, 0)
      points.add(point.join())
      if (code % 97 === 0) expect(nearestE8(point, 0)).toBe(code)
    }
    expect(points.size).toBe(65536)
  })

  it('finds the nearest of all points', () => {
    const x = normals(1, 3 * DIM, 5).data.map(v => 1.6 * v)
    const point = new Float32Array(DIM)
    const distance = (at: number, code: number) => {
      decodeE8(code, 1, point, 0)
      return point.reduce((sum, v, i) => sum + (v - x[at + i]) ** 2, 0)
    }
    for (let at = 0; at < x.length; at += DIM) {
      let least = Number.POSITIVE_INFINITY
      for (let code = 0; code < 65536; code++) least = Math.min(least, distance(at, code))
      expect(distance(at, nearestE8(x, at))).toBeCloseTo(least, 4)
    }
  })

  it('has 256 short vectors of even sum for the third bit', () => {
    const vectors = shortE8()
    const texts = Array.from({ length: 256 }, (_, i) => vectors.subarray(i * DIM, (i + 1) * DIM).join())
    expect(new Set(texts).size).toBe(256)
    expect(vectors.length).toBe(256 * DIM)
  })

  it('costs 2 bits per weight and one scale', () => {
    const cost = e8.cost([64, 64], { bits: 2 })
    expect(cost).toEqual({ codes: { dtype: 'U16', shape: [64, 8] }, scales: { dtype: 'F32', shape: [1, 1] } })
  })
})
