import { bitsOf, type EncodedMatrix, type Matrix, partsOf } from '@reallm/tensor-io'
import { conformance, normals, relativeError } from '@reallm/tensor-io/conformance'
import { trellisWords } from '@reallm/tensor-io/layouts'
import { correlatedHessian } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import { rotated, withFeedback } from '../transforms/index.ts'
import { bandBits, trellis, trellisBands } from './index.ts'

conformance(
  { describe, it },
  {
    codec: trellisBands,
    cases: [
      { params: { bits: [2], rows: 1024, stateBits: 8 }, gaussian: 0.078, real: 0.2 },
      { params: { bits: [3.4], rows: 1024 }, gaussian: 0.013, real: 0.04 },
    ],
    badShape: {
      shape: [128, 16],
      params: { bits: [2], rows: 64 },
      says: /128 rows in bands of 64 have 1 rates; give rows as a multiple of 64, and a rate for each band/,
    },
  },
)

describe('trellis-bands', () => {
  const w = normals(150, 64, 1)
  const rowsOf = (from: number, to: number): Matrix => ({
    rows: to - from,
    cols: 64,
    data: w.data.slice(64 * from, 64 * to),
  })
  const bits = [4.25, 1.5, 2.5]
  const bands = bits.map((bits, b) => ({ bits, w: rowsOf(64 * b, Math.min(150, 64 * (b + 1))) }))

  it('codes each band as `trellis` does, in the same bits', async () => {
    const whole = await trellisBands.encode(w, { bits, rows: 64, stateBits: 8 }, { seed: 1 })
    let at = 0
    let size = 0
    for (const { bits, w: band } of bands) {
      const alone = await trellis.encode(band, { bits, stateBits: 8, scale: 'row' }, { seed: 1 })
      expect(trellisBands.decodeRows(whole, at, at + band.rows)).toEqual(trellis.decode(alone))
      at += band.rows
      size += bitsOf(alone)
    }
    expect(bitsOf(whole)).toBe(size)
    const error = (from: number, to: number) =>
      relativeError(rowsOf(from, to), trellisBands.decodeRows(whole, from, to))
    expect(error(0, 64)).toBeLessThan(0.005)
    expect(error(64, 128)).toBeGreaterThan(0.1)
    expect(error(128, 150)).toBeLessThan(0.05)
  })

  it('has the bytes of the whole matrix when it is encoded band by band, rotated and with error feedback', async () => {
    const codec = rotated(withFeedback(trellisBands), { output: false })
    const hessian = correlatedHessian(64, 2)
    const encode = (m: Matrix, bits: readonly number[], isBand: boolean) =>
      codec.encode(m, { inner: { bits, rows: 64, stateBits: 8 } }, { seed: 3, hessian, isBand })
    const parts: EncodedMatrix[] = []
    for (const { bits, w: band } of bands) parts.push(await encode(band, [bits], true))
    const [joined, whole] = [codec.bands!.join(parts), await encode(w, bits, false)]
    expect(joined.inner!.params).toEqual(whole.inner!.params)
    expect(partsOf(joined)).toEqual(partsOf(whole))
  })
})

describe('bandBits', () => {
  it('gives bands that count more higher rates, in no more bits than equal rates', () => {
    const bits = bandBits([1000, 64], 256, 3, 6, [8, 4, 2, 1])
    expect(bits).toEqual([...bits].sort((a, b) => b - a))
    const rows = [256, 256, 256, 232]
    const words = bits.map((bits, b) => trellisWords(rows[b], 64, bits))
    const most = rows.map(rows => trellisWords(rows, 64, 3))
    const sum = (of: number[]) => of.reduce((total, v) => total + v, 0)
    expect(sum(words) / sum(most)).toBeGreaterThan(0.99)
    expect(sum(words)).toBeLessThanOrEqual(sum(most))
  })

  it('gives all rows the same rate where they count alike, and none more than is allowed', () => {
    expect(bandBits([256, 64], 64, 2.5, 6, [1, 1, 1, 1])).toEqual([2.5, 2.5, 2.5, 2.5])
    expect(bandBits([128, 64], 64, 4, 5, [1e6, 1])).toEqual([5, 3])
  })
})
