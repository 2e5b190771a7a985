import { bitsOf, random } from '@reallm/tensor-io'
import { factorParts, readFactor } from '@reallm/tensor-io/layouts'
import { distance, normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { storeFactor } from './store-factor.ts'

const m = normals(20, 7, 1)

test.each([1, 2, 3, 4, 8, 16])('%i bits: cost and error', bits => {
  for (const along of ['rows', 'cols'] as const) {
    const format = { bits, along }
    const parts = storeFactor('f', m, format)
    const stored = { codec: 'x', params: {}, shape: [20, 7] as const, parts }
    expect(bitsOf(stored)).toBe(bitsOf(factorParts('f', 20, 7, format)))
    const error = distance(m, readFactor('f', parts, 20, 7, format))
    expect(error).toBeLessThan(bits === 16 ? 1e-6 : 2.5 * 4 ** -bits * (bits < 3 ? 1 : 3))
  }
})

test('what was decoded is stored without loss', () => {
  const format = { bits: 3, along: 'rows' as const }
  const once = readFactor('f', storeFactor('f', m, format), 20, 7, format)
  expect(readFactor('f', storeFactor('f', once, format), 20, 7, format)).toEqual(once)
})

test('dithered rounding is right on average', () => {
  const format = { bits: 8, along: 'rows' as const }
  const value = { rows: 1, cols: 4000, data: new Float32Array(4000).fill(0.3) }
  value.data[0] = 127.5
  const { uniform } = random(1)
  const parts = storeFactor('f', value, format, { dither: () => uniform() - 0.5 })
  const back = readFactor('f', parts, 1, 4000, format)
  const mean = back.data.subarray(1).reduce((sum, v) => sum + v, 0) / 3999
  expect(Math.abs(mean - 0.3)).toBeLessThan(0.03)
  expect(readFactor('f', storeFactor('f', value, format), 1, 4000, format).data[1]).toBeCloseTo(0.5, 2)
})

test('zeros, and what cannot be stored', () => {
  const format = { bits: 4, along: 'rows' as const }
  const zeros = { rows: 2, cols: 3, data: new Float32Array(6) }
  expect(readFactor('f', storeFactor('f', zeros, format), 2, 3, format).data.every(v => v === 0)).toBe(true)
  const huge = { rows: 1, cols: 1, data: Float32Array.of(1e9) }
  expect(() => storeFactor('f', huge, { bits: 16, along: 'rows' })).toThrow('beyond 65504')
  expect(() => storeFactor('f', zeros, { bits: 12, along: 'rows' })).toThrow('12 bits')
})
