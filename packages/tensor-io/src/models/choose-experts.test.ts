import { expect, it } from 'vitest'
import { chooseExperts } from './choose-experts.ts'

it('chooses the highest scores of each position, of equal ones the first', () => {
  const scores = Float32Array.of(0.1, 3, 2, -1, 5, 5, 5, 5)
  expect([...chooseExperts(scores, 4, 2)]).toEqual([1, 2, 0, 1])
  expect([...chooseExperts(scores, 4, 4)]).toEqual([1, 2, 0, 3, 0, 1, 2, 3])
})

it('chooses distinct experts whatever the scores', () => {
  const scores = Float32Array.of(Number.NaN, Number.NaN, Number.NaN)
  expect(new Set(chooseExperts(scores, 3, 2)).size).toBe(2)
})
