import { expect, test } from 'vitest'
import { groupCols } from './groups.ts'

test.each([
  [576, 1, 64],
  [1536, 1, 64],
  [160, 1, 80],
  [100, 1, 50],
  [48, 1, 48],
  [37, 1, 37],
  [1200, 8, 80],
  [240, 8, 48],
])('%i columns in units of %i: groups of about 64 are of %i', (cols, unit, size) => {
  expect(groupCols([4, cols], 'auto', unit)).toBe(size)
})

test('sizes that do not fit are refused with those that do', () => {
  expect(groupCols([4, 96], 'row')).toBe(96)
  expect(groupCols([4, 96], 48)).toBe(48)
  expect(() => groupCols([4, 576], 100)).toThrow('[4×576]: group 100 does not divide 576')
  expect(() => groupCols([4, 96], 6, 4)).toThrow('group 6 is no multiple of 4')
  expect(() => groupCols([4, 576], 100)).toThrow(
    expect.objectContaining({ hint: 'use 72, 96, 144, 192 or "row"' }),
  )
})
