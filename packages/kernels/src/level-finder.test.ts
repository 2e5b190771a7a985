import { random } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { LevelFinder } from './level-finder.ts'

const nearest = (levels: Float32Array, x: number) => {
  let best = 0
  for (const [i, level] of levels.entries()) if (Math.abs(x - level) < Math.abs(x - levels[best])) best = i
  return best
}

const grid = (count: number) => Float32Array.from({ length: count }, (_, i) => i - (count - 1) / 2)

test.each([
  ['a grid of 2', grid(2)],
  ['a grid of 7', grid(7)],
  ['a grid of 256', grid(256)],
  ['uneven levels', Float32Array.of(-1, -0.69, -0.52, -0.05, 0, 0.08, 0.16, 0.17, 1)],
])('finds the nearest of %s', (_, levels) => {
  const finder = new LevelFinder(levels)
  const { normal } = random(1)
  const spread = levels[levels.length - 1] - levels[0]
  for (let i = 0; i < 5000; i++) {
    const x = normal() * spread
    expect(finder.find(x)).toBe(nearest(levels, x))
  }
  for (const [i, level] of levels.entries()) {
    expect(finder.find(level)).toBe(i)
    if (i > 0) expect(finder.find((level + levels[i - 1]) / 2)).toBe(i - 1)
  }
  expect(finder.find(1e30)).toBe(levels.length - 1)
  expect(finder.find(-Infinity)).toBe(0)
})
