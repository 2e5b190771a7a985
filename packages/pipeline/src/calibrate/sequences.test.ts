import { expect, test } from 'vitest'
import { randomSequences, sequencesOfTexts } from './sequences.ts'

const ids = Int32Array.from({ length: 1000 }, (_, i) => i)
const source = 'a text'

test('sequences spread over the text and do not overlap; the last ones validate', () => {
  const { calibration, validation, length } = sequencesOfTexts([{ ids, source }], {
    calibration: 4,
    validation: 2,
    length: 100,
  })
  expect([calibration.length, validation.length, length]).toEqual([4, 2, 100])
  const starts = [...calibration, ...validation].map(w => w[0])
  for (let i = 1; i < starts.length; i++) expect(starts[i] - starts[i - 1]).toBeGreaterThanOrEqual(100)
  expect(starts[0]).toBe(0)
  expect(starts.at(-1)).toBeGreaterThan(700)
})

test('a short text gives fewer and shorter sequences', () => {
  const counts = { calibration: 8, validation: 2, length: 512 }
  const { calibration, validation, length } = sequencesOfTexts([{ ids: ids.slice(0, 60), source }], counts)
  expect(length).toBe(15)
  expect(calibration.length + validation.length).toBe(4)
  expect(validation.length).toBe(1)
  expect(() => sequencesOfTexts([{ ids: ids.slice(0, 9), source }], counts)).toThrow(
    /only 9 tokens \(a text\)/,
  )
})

test('several texts take turns, whatever their lengths', () => {
  const other = { ids: ids.slice(0, 400).map(id => id + 1000), source: 'another' }
  const counts = { calibration: 6, validation: 2, length: 50 }
  const { calibration, validation, ...all } = sequencesOfTexts([{ ids, source }, other], counts)
  expect(calibration.map(w => w[0] >= 1000)).toEqual([false, true, false, true, false, true])
  expect(validation.map(w => w[0] >= 1000)).toEqual([false, true])
  expect(all).toMatchObject({ length: 50, source: 'a text and another' })
  const short = { ids: ids.slice(0, 199), source: 'a note' }
  expect(() => sequencesOfTexts([{ ids, source }, short], counts)).toThrow(/only 199 tokens \(a note\)/)
})

test('random sequences repeat with their seed and stay in the vocabulary', () => {
  const options = { calibration: 2, validation: 1, length: 32 }
  expect(randomSequences(50, options, 1)).toEqual(randomSequences(50, options, 1))
  expect(randomSequences(50, options, 1).calibration).not.toEqual(randomSequences(50, options, 2).calibration)
  expect(Math.max(...randomSequences(50, options, 1).calibration[0])).toBeLessThan(50)
})
