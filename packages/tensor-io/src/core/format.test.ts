import { expect, test } from 'vitest'
import { bytesText, counted, durationText } from './format.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [45_123_456, '45.1 MB'],
  [999_600_000, '1.00 GB'],
  [123_456_789_012, '123 GB'],
  [4.2e15, '4200 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text)
})

test.each([
  [0.4, '0 s'],
  [59.6, '1 min 0 s'],
  [200, '3 min 20 s'],
  [7500, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text)
})

test('one thing, several things', () => {
  expect([0, 1, 2].map(count => counted(count, 'window'))).toEqual(['0 windows', '1 window', '2 windows'])
})
