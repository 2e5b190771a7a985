import { expect, test } from 'vitest'
import { makespan } from './makespan.ts'

test('jobs go to whoever is free first, waves wait for each other', () => {
  expect(makespan([[3, 1, 1, 1]], 1)).toBe(6)
  expect(makespan([[3, 1, 1, 1]], 2)).toBe(3)
  expect(makespan([[3], [1, 1, 1]], 2)).toBe(5)
  expect(makespan([[3, 1, 1, 1]], 512)).toBe(3)
  expect(makespan([], 2)).toBe(0)
})
