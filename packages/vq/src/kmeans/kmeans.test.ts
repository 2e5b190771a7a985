import { bitsPerWeight } from '@reallm/tensor-io'
import { conformance, normals, relativeError } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { kmeans } from './index.ts'

conformance(
  { describe, it },
  {
    codec: kmeans,
    cases: [
      { params: { bits: 2 }, gaussian: 0.115, real: 0.15 },
      { params: { bits: 2, dim: 1, group: 'none' }, gaussian: 0.12, real: 0.2 },
      { params: { bits: 1.5, dim: 4, scales: 'f16' }, gaussian: 0.19, real: 0.25 },
      { params: { bits: 0.5, dim: 8, group: 'row' }, gaussian: 0.6, real: 0.7 },
      { params: { bits: 3, dim: 2, permute: true }, gaussian: 0.033, real: 0.04 },
    ],
    badShape: {
      shape: [64, 96],
      params: { bits: 2, dim: 4, group: 6 },
      says: /group 6 is no multiple of 4; use 4, 8 or /,
    },
  },
)

describe('kmeans', () => {
  it('permutes columns so that similar ones share a vector', async () => {
    const base = normals(64, 32, 1)
    const data = new Float32Array(64 * 64)
    for (let i = 0; i < data.length; i++) data[i] = base.data[Math.floor(i / 64) * 32 + ((i * 5) % 32)]
    const w = { rows: 64, cols: 64, data }
    const params = { bits: 2, dim: 2, group: 'none' } as const
    const plain = await kmeans.encode(w, params, { seed: 1 })
    const permuted = await kmeans.encode(w, { ...params, permute: true }, { seed: 1 })
    expect(bitsPerWeight(permuted) - bitsPerWeight(plain)).toBeCloseTo(6 / 64, 9)
    expect(relativeError(w, kmeans.decode(permuted))).toBeLessThan(
      0.5 * relativeError(w, kmeans.decode(plain)),
    )
    await expect(kmeans.columns(w, { ...params, permute: true }, { seed: 1 })).rejects.toThrow(/permuted/)
  })

  it('spends its precision where H is large', async () => {
    const w = normals(64, 64, 2)
    const hessian = { rows: 64, cols: 64, data: new Float32Array(64 * 64) }
    for (let i = 0; i < 64; i++) hessian.data[i * 65] = i % 2 === 0 ? 50 : 1
    const error = async (h: object) => {
      const decoded = kmeans.decode(await kmeans.encode(w, { bits: 2, group: 'none' }, { seed: 1, ...h }))
      return w.data.reduce((sum, v, i) => sum + hessian.data[(i % 64) * 65] * (v - decoded.data[i]) ** 2, 0)
    }
    expect(await error({ hessian })).toBeLessThan(0.7 * (await error({})))
  })

  it('refuses codebooks beyond 2^12 and permutations with foreign columns', async () => {
    expect(() => kmeans.cost([8, 8], { bits: 4, dim: 4 })).toThrow(/bits·dim/)
    const e = await kmeans.encode(normals(4, 10, 1), { bits: 1, dim: 2, permute: true }, { seed: 1 })
    const permutation = { ...e.parts.permutation, data: new Uint8Array(5).fill(255) }
    expect(() => kmeans.decode({ ...e, parts: { ...e.parts, permutation } })).toThrow(/column 15 of 10/)
  })
})
