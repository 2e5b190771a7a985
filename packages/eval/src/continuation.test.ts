import { expect, it } from 'vitest'
import { continuationAgreement, repetitionRate } from './continuation.ts'

it('counts n-grams that came before', () => {
  expect(repetitionRate([1, 2, 3, 4, 5, 6, 7])).toBe(0)
  expect(repetitionRate([1, 2, 1, 2, 1, 2], 2)).toBeCloseTo(0.6)
  expect(repetitionRate(Array(100).fill(7))).toBeCloseTo(96 / 97)
  expect(repetitionRate([1, 2])).toBe(0)
})

it('measures how far a continuation agrees', () => {
  expect(continuationAgreement([5, 6, 9], [5, 6, 7, 8])).toBe(0.5)
  expect(continuationAgreement([5, 6, 7, 8, 9], [5, 6])).toBe(1)
  expect(continuationAgreement([], [5])).toBe(0)
  expect(continuationAgreement([5], [])).toBe(1)
})
