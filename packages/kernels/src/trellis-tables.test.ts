import { trellisSegments, trellisWords } from '@reallm/tensor-io/layouts/trellis-segments'
import { describe, expect, it } from 'vitest'
import { randomMatrix } from '../test/random-matrix.ts'
import { trellisRates } from './trellis-rates.ts'
import { GAUSS_STEP } from './trellis-tables.data.ts'
import { trellisTable } from './trellis-tables.ts'
import { viterbi } from './viterbi.ts'

describe('trellisTable', () => {
  it('is odd, in the same steps of at most 127 at all rates, with the variance a code at its rate reproduces', () => {
    for (const stateBits of [8, 10, 12]) {
      for (let bits = 1; bits <= Math.min(6, stateBits - 3); bits++) {
        const table = trellisTable(stateBits, bits)
        expect(table.length).toBe(2 ** stateBits)
        const codes = table.map(v => v / GAUSS_STEP)
        expect(codes.every(c => Math.abs(c - Math.round(c)) < 1e-3 && Math.abs(c) < 127.5)).toBe(true)
        expect(table.every((v, s) => v === -table[table.length - 1 - s] || v === 0)).toBe(true)
        expect(table.reduce((sum, v) => sum + v * v, 0) / table.length).toBeGreaterThan(0.6)
      }
    }
  })

  it('never changes: artifacts depend on it', () => {
    const hash = (stateBits: number) => {
      let sum = 0x811c9dc5
      for (let bits = 1; bits <= Math.min(6, stateBits - 3); bits++) {
        for (const byte of new Uint8Array(trellisTable(stateBits, bits).buffer)) {
          sum = Math.imul(sum ^ byte, 0x01000193)
        }
      }
      return sum >>> 0
    }
    expect([8, 10, 12, 9, 11, 14].map(hash)).toEqual([
      3466221713, 3242430489, 4066241437, 402702864, 1929957180, 1654096826,
    ])
  })

  it('refuses rates that no code has', () => {
    expect(() => trellisTable(12, 7)).toThrow(/1 to 6 bits per weight/)
  })

  it.each([2, 3, 4, 4.25])(
    'is computed as well as trained at %f bits, and better for longer states',
    bits => {
      const x = randomMatrix(40, 256).data
      const error = (stateBits: number) => {
        const lut = trellisTable(stateBits, bits)
        return viterbi(x, { bits, lut }).reduce((sum, s, i) => sum + (x[i] - lut[s]) ** 2, 0)
      }
      const trained = error(12)
      expect(error(11)).toBeLessThan(1.1 * trained)
      expect(error(14)).toBeLessThan(0.99 * trained)
    },
  )
})

describe('trellisRates and trellisSegments', () => {
  const runs = (rates: Uint8Array, cols: number) =>
    trellisSegments(576, cols, rates).map(({ bits, from, to }) => ({ bits, from, to }))

  it('mixes rates as near as tile columns allow', () => {
    expect(runs(trellisRates(576, 3, 6), 576)).toEqual([{ bits: 3, from: 0, to: 576 }])
    expect(runs(trellisRates(576, 2.25, 6), 576)).toEqual([{ bits: 2.25, from: 0, to: 576 }])
    expect(runs(trellisRates(576, 2.375, 6), 576)).toEqual([
      { bits: 2.25, from: 0, to: 288 },
      { bits: 2.5, from: 288, to: 576 },
    ])
    expect(runs(trellisRates(30, 1.6, 6), 30)).toEqual([
      { bits: 1.5, from: 0, to: 16 },
      { bits: 1.75, from: 16, to: 30 },
    ])
    expect(() => trellisRates(30, 6.5, 6)).toThrow(/1 to 6 bits/)
  })

  it('gives a column half a bit more for each doubling of what its errors cost, at the same size', () => {
    const loss = Float32Array.from({ length: 128 }, (_, c) => 4 ** Math.floor(c / 32))
    const rates = trellisRates(128, 3, 6, loss)
    expect(Array.from(rates, rate => rate / 4)).toEqual([1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4.5, 4.5])
    const words = trellisSegments(576, 128, rates).reduce((sum, { tiles }) => sum + tiles.words, 0)
    expect(words).toBe(trellisWords(576, 128, 3))
  })

  it('keeps within the least and the largest rate', () => {
    const loss = Float32Array.from({ length: 64 }, (_, c) => 1e9 ** Math.floor(c / 16))
    expect(Array.from(trellisRates(64, 2.5, 4, loss))).toEqual([4, 4, 16, 16])
  })

  it('refuses rates that no encoder wrote', () => {
    expect(() => trellisSegments(16, 32, Uint8Array.of(8))).toThrow(/32 columns have 2 rates/)
    expect(() => trellisSegments(16, 32, Uint8Array.of(8, 3))).toThrow(/2 rates of 4 to 24/)
  })
})
