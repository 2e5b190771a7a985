import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packBits, packedBytes, unpackBits } from './bits.ts'

describe('packBits', () => {
  it('fills bytes from the lowest bit', () => {
    expect([...packBits([1, 2, 3, 4], 3)]).toEqual([0b11010001, 0b1000])
    expect([...packBits([0xabc, 0xdef], 12)]).toEqual([0xbc, 0xfa, 0xde])
  })

  it('comes back for every width, length and start', () => {
    const codes = fc.integer({ min: 1, max: 16 }).chain(width =>
      fc.record({
        width: fc.constant(width),
        codes: fc.array(fc.integer({ min: 0, max: 2 ** width - 1 }), { maxLength: 70 }),
        start: fc.nat(70),
      }),
    )
    fc.assert(
      fc.property(codes, ({ width, codes, start }) => {
        const from = Math.min(start, codes.length)
        const packed = packBits(codes, width)
        expect(packed.length).toBe(packedBytes(codes.length, width))
        expect([...unpackBits(packed, width, codes.length - from, from)]).toEqual(codes.slice(from))
      }),
      { numRuns: 300 },
    )
  })

  it('refuses codes that do not fit, short data and odd widths', () => {
    expect(() => packBits([4], 2)).toThrow('a code does not fit 2 bits')
    expect(() => packBits([-1], 4)).toThrow('a code does not fit 4 bits')
    expect(() => packBits([0], 17)).toThrow('codes cannot have 17 bits')
    expect(() => unpackBits(new Uint8Array(2), 3, 6)).toThrow('6 codes of 3 bits need 3 bytes, got 2')
  })
})
