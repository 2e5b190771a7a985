import { random } from '@reallm/tensor-io'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withReference } from '../test/random-matrix.ts'
import { comparePredictions, predictionOf } from './predictions.ts'

/** Logits as language models have them: most far below the largest. */
function logitsOf(length: number, seed: number, spread: number): Float32Array {
  const { normal } = random(seed)
  return Float32Array.from({ length }, () => spread * normal() - 12)
}

const cases = fc.tuple(
  fc.integer({ min: 1, max: 3000 }),
  fc.integer({ min: 0, max: 1000 }),
  fc.constantFrom(0.01, 3, 20),
)

test('predictions are those of the reference, their sums to 1e-6', () => {
  fc.assert(
    fc.property(cases, ([length, seed, spread]) => {
      const [p, noise] = [logitsOf(length, seed, spread), logitsOf(length, seed + 1, 0.3)]
      const q = p.map((x, i) => x + noise[i])
      const found = comparePredictions(p, q)
      const wanted = withReference(() => comparePredictions(p, q))
      expect(found.p.likeliest).toBe(wanted.p.likeliest)
      expect(found.q.likeliest).toBe(wanted.q.likeliest)
      expect(found.rank).toBe(wanted.rank)
      for (const side of ['p', 'q'] as const) {
        expect(Math.abs(found[side].logSumExp - wanted[side].logSumExp)).toBeLessThan(1e-6)
      }
      expect(Math.abs(found.divergence - wanted.divergence)).toBeLessThan(1e-6)
      expect(predictionOf(q)).toEqual(found.q)
      expect(withReference(() => predictionOf(q))).toEqual(wanted.q)
    }),
    { numRuns: 100, seed: 3 },
  )
})

test('a prediction is no distance from itself, and of equal logits the first is the likeliest', () => {
  const p = logitsOf(49152, 5, 3)
  expect(comparePredictions(p, p)).toMatchObject({ divergence: 0, rank: 0 })
  expect(predictionOf(Float32Array.of(1, 4, 2, 4, 4)).likeliest).toBe(1)
  expect(predictionOf(new Float32Array(7))).toEqual({ likeliest: 0, logSumExp: Math.log(7) })
})

test('logits that are no numbers give none, as the reference does', () => {
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const logits = logitsOf(50, 6, 3)
    logits[30] = wrong
    expect(predictionOf(logits).logSumExp).toBeNaN()
    expect(withReference(() => predictionOf(logits)).logSumExp).toBeNaN()
  }
})

test('no logits, and those of different vocabularies, are refused', () => {
  expect(() => predictionOf(new Float32Array(0))).toThrow('no predictions in 0')
  expect(() => comparePredictions(new Float32Array(4), new Float32Array(8))).toThrow('in 4 and 8 logits')
})
