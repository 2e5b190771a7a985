import { expect, test } from 'vitest'
import { learningRateAt } from './schedule.ts'

test('warms up in a line, peaks, and falls on a cosine to the floor', () => {
  const schedule = { peak: 2, steps: 110, warmup: 10, floor: 0.1 }
  expect(learningRateAt(0, schedule)).toBeCloseTo(0.2)
  expect(learningRateAt(9, schedule)).toBeCloseTo(2)
  expect(learningRateAt(10, schedule)).toBeCloseTo(2)
  expect(learningRateAt(60, schedule)).toBeCloseTo(2 * (0.1 + 0.45))
  expect(learningRateAt(110, schedule)).toBeCloseTo(0.2)
  expect(learningRateAt(500, schedule)).toBeCloseTo(0.2)
})
