import { expect, test } from 'vitest'
import { sequencesOf, shuffled } from './batches.ts'

const stream = Array.from({ length: 101 }, (_, i) => i)

test('every sequence comes once in a pass, targets are the next tokens', () => {
  const batches = shuffled(sequencesOf(stream, 10), { rows: 5, seed: 3 })
  expect(batches.sequences).toBe(10)
  const two = [batches.batch(0), batches.batch(1)]
  expect(two.flatMap(b => b.sequences).sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i))
  expect(Array.from(two[0].targets)).toEqual(Array.from(two[0].ids, id => id + 1))
  expect(two[0].scored).toBe(50)
})

test('a batch depends on its number and the seed only', () => {
  const make = (seed: number) => shuffled(sequencesOf(stream, 10), { rows: 4, seed })
  const straight = make(1)
  for (let i = 0; i < 7; i++) straight.batch(i)
  expect(make(1).batch(7)).toEqual(straight.batch(7))
  expect(make(2).batch(7)).not.toEqual(straight.batch(7))
})

test('short sequences are padded and uncounted; weights hide prompts', () => {
  const batches = shuffled([{ ids: [5, 6, 7], weights: [0, 0, 1] }, { ids: [1, 2, 3, 4] }], {
    rows: 2,
    seed: 0,
  })
  const { ids, weights, scored, length, sequences } = batches.batch(0)
  const short = sequences.indexOf(0)
  expect(length).toBe(3)
  expect(Array.from(ids.subarray(short * 3, short * 3 + 3))).toEqual([5, 6, 0])
  expect(Array.from(weights.subarray(short * 3, short * 3 + 3))).toEqual([0, 1, 0])
  expect(scored).toBe(4)
})

test('too little text is refused', () => {
  expect(() => sequencesOf([1, 2, 3], 3)).toThrow(/less than one sequence/)
})
