import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '@reallm/tensor-io'
import { describe, expect, it } from 'vitest'
import { requireStorable, type StoredAs } from './storable.ts'

const check = (dtype: StoredAs, ...values: number[]) =>
  requireStorable('w', [2, values.length / 2], Float32Array.from(values), dtype)

describe('requireStorable', () => {
  it.each<[StoredAs, number]>([
    ['f16', 65_519.996],
    ['bf16', 3.3961e38],
    ['q8_0', 127 * 65_519],
    ['f32', 3.4028e38],
  ])('takes the largest values of %s', (dtype, value) => {
    expect(() => check(dtype, 0, -value, value, 1)).not.toThrow()
  })

  it('draws the line where rounding gives infinity', () => {
    const rounded = (value: number) => [
      f16ToF32(f32ToF16(Float32Array.of(value)))[0],
      bf16ToF32(f32ToBf16(Float32Array.of(value)))[0],
    ]
    expect(rounded(65_519.996)[0]).toBe(65_504)
    expect(rounded(65_520)[0]).toBe(Number.POSITIVE_INFINITY)
    expect(rounded(3.3961e38)[1]).toBeLessThan(Number.POSITIVE_INFINITY)
    expect(rounded(3.3962e38)[1]).toBe(Number.POSITIVE_INFINITY)
    expect(() => check('f16', 0, 65_520)).toThrow('too large for f16')
    expect(() => check('bf16', 0, 3.3962e38)).toThrow('too large for bf16')
  })

  it.each([
    ['f16', [0, 0, 1e5, 0], 'w [2×2] holds 100000 at row 1, column 0: too large for f16'],
    ['q8_0', [0, -1e7, 0, 0], 'w [2×2] holds -10000000 at row 0, column 1: too large for q8_0'],
    ['f32', [0, 0, 0, Number.NaN], 'w [2×2] holds NaN at row 1, column 1'],
    ['bf16', [Number.NEGATIVE_INFINITY, 0], 'w [2×1] holds -Infinity at row 0, column 0'],
  ] as const)('names the place in %s', (dtype, values, message) => {
    expect(() => check(dtype, ...values)).toThrow(message)
  })
})
