import { expect, test } from 'vitest'
import { makespan, type Wave } from './makespan.ts'

const wave = (...jobs: number[]): Wave => ({ before: 0, jobs })
const farm = (workers: number, more = {}) => ({ workers, ahead: 100, waits: true, ...more })

test('jobs go to whoever is free first, waves wait for each other', () => {
  expect(makespan([wave(3, 1, 1, 1)], farm(1))).toBe(6)
  expect(makespan([wave(3, 1, 1, 1)], farm(2))).toBe(3)
  expect(makespan([wave(3), wave(1, 1, 1)], farm(2))).toBe(5)
  expect(makespan([wave(3, 1, 1, 1)], farm(512))).toBe(3)
  expect(makespan([], farm(2))).toBe(0)
})

test('waves that need no results are worked for while others are encoded', () => {
  const waves = [
    { before: 2, jobs: [3] },
    { before: 2, jobs: [3] },
  ]
  expect(makespan(waves, farm(1))).toBe(10)
  expect(makespan(waves, farm(1, { waits: false }))).toBe(8)
  expect(makespan(waves, farm(2, { waits: false }))).toBe(7)
})

test('no more jobs are sent than are kept in memory', () => {
  const waves = [1, 2, 3].map(() => ({ before: 1, jobs: [4] }))
  expect(makespan(waves, farm(1, { waits: false }))).toBe(13)
  // the third is sent, and what follows it begins, when the second is done
  const slow = [...waves, { before: 9, jobs: [] }]
  expect(makespan(slow, farm(1, { waits: false, ahead: 1 }))).toBe(18)
})
