import { expect, test } from 'vitest'
import { randomWindows, windowsOfText } from './sequences.ts'

const ids = Int32Array.from({ length: 1000 }, (_, i) => i)

test('windows spread over the text and do not overlap; the last are held out', () => {
  const { fit, heldOut, length } = windowsOfText(ids, { windows: 4, heldOut: 2, length: 100 }, 'a text')
  expect([fit.length, heldOut.length, length]).toEqual([4, 2, 100])
  const starts = [...fit, ...heldOut].map(w => w[0])
  for (let i = 1; i < starts.length; i++) expect(starts[i] - starts[i - 1]).toBeGreaterThanOrEqual(100)
  expect(starts[0]).toBe(0)
  expect(starts.at(-1)).toBeGreaterThan(700)
})

test('a short text gives fewer and shorter windows', () => {
  const { fit, heldOut, length } = windowsOfText(
    ids.slice(0, 60),
    { windows: 8, heldOut: 2, length: 512 },
    '',
  )
  expect(length).toBe(15)
  expect(fit.length + heldOut.length).toBe(4)
  expect(heldOut.length).toBe(1)
  expect(() => windowsOfText(ids.slice(0, 9), { windows: 8, heldOut: 2, length: 512 }, '')).toThrow(
    /only 9 tokens/,
  )
})

test('random windows repeat with their seed and stay in the vocabulary', () => {
  const options = { windows: 2, heldOut: 1, length: 32 }
  expect(randomWindows(50, options, 1)).toEqual(randomWindows(50, options, 1))
  expect(randomWindows(50, options, 1).fit).not.toEqual(randomWindows(50, options, 2).fit)
  expect(Math.max(...randomWindows(50, options, 1).fit[0])).toBeLessThan(50)
})
