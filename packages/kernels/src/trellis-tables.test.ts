import { describe, expect, it } from 'vitest'
import { trellisSegments } from './trellis-segments.ts'
import { gaussStateBits, trellisTable } from './trellis-tables.ts'

describe('trellisTable', () => {
  it('is odd, in steps of at most 127, with the variance a code at its rate reproduces', () => {
    for (const stateBits of gaussStateBits) {
      for (const bits of [1, 2, 3, 4]) {
        const table = trellisTable('gauss', stateBits, bits)
        expect(table.length).toBe(2 ** stateBits)
        const largest = table.reduce((max, v) => Math.max(max, Math.abs(v)), 0)
        expect(
          table.every(
            (v, s) =>
              (Math.abs((v / largest) * 127 - Math.round((v / largest) * 127)) < 1e-3 &&
                v === -table[table.length - 1 - s]) ||
              v === 0,
          ),
        ).toBe(true)
        expect(table.reduce((sum, v) => sum + v * v, 0) / table.length).toBeGreaterThan(0.6)
      }
    }
  })

  it('never changes: artifacts depend on it', () => {
    const hash = (stateBits: number) => {
      let sum = 0x811c9dc5
      for (const bits of [1, 2, 3, 4]) {
        for (const byte of new Uint8Array(trellisTable('gauss', stateBits, bits).buffer)) {
          sum = Math.imul(sum ^ byte, 0x01000193)
        }
      }
      return sum >>> 0
    }
    expect(gaussStateBits.map(hash)).toEqual([2389014961, 3588814157, 1158720329])
  })

  it('names the tables there are', () => {
    expect(() => trellisTable('gauss', 11, 2)).toThrow(/no gauss table of 11/)
    expect(trellisTable('hash', 11, 2).length).toBe(2048)
  })
})

describe('trellisSegments', () => {
  it('mixes rates as near as tile columns allow', () => {
    expect(trellisSegments(576, 3)).toEqual([{ bits: 3, from: 0, to: 576 }])
    expect(trellisSegments(576, 4)).toEqual([{ bits: 4, from: 0, to: 576 }])
    expect(trellisSegments(576, 2.25)).toEqual([{ bits: 2.25, from: 0, to: 576 }])
    expect(trellisSegments(576, 2.375)).toEqual([
      { bits: 2.25, from: 0, to: 288 },
      { bits: 2.5, from: 288, to: 576 },
    ])
    expect(trellisSegments(30, 1.6)).toEqual([
      { bits: 1.5, from: 0, to: 16 },
      { bits: 1.75, from: 16, to: 30 },
    ])
    expect(() => trellisSegments(30, 4.5)).toThrow(/1 to 4 bits/)
  })
})
