import { expect, test } from 'vitest'
import { randomSequences, sequencesOfText } from './sequences.ts'

const ids = Int32Array.from({ length: 1000 }, (_, i) => i)

test('sequences spread over the text and do not overlap; the last ones validate', () => {
  const { calibration, validation, length } = sequencesOfText(
    ids,
    { calibration: 4, validation: 2, length: 100 },
    'a text',
  )
  expect([calibration.length, validation.length, length]).toEqual([4, 2, 100])
  const starts = [...calibration, ...validation].map(w => w[0])
  for (let i = 1; i < starts.length; i++) expect(starts[i] - starts[i - 1]).toBeGreaterThanOrEqual(100)
  expect(starts[0]).toBe(0)
  expect(starts.at(-1)).toBeGreaterThan(700)
})

test('a short text gives fewer and shorter sequences', () => {
  const { calibration, validation, length } = sequencesOfText(
    ids.slice(0, 60),
    { calibration: 8, validation: 2, length: 512 },
    '',
  )
  expect(length).toBe(15)
  expect(calibration.length + validation.length).toBe(4)
  expect(validation.length).toBe(1)
  expect(() => sequencesOfText(ids.slice(0, 9), { calibration: 8, validation: 2, length: 512 }, '')).toThrow(
    /only 9 tokens/,
  )
})

test('random sequences repeat with their seed and stay in the vocabulary', () => {
  const options = { calibration: 2, validation: 1, length: 32 }
  expect(randomSequences(50, options, 1)).toEqual(randomSequences(50, options, 1))
  expect(randomSequences(50, options, 1).calibration).not.toEqual(randomSequences(50, options, 2).calibration)
  expect(Math.max(...randomSequences(50, options, 1).calibration[0])).toBeLessThan(50)
})
