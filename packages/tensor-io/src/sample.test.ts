import { describe, expect, it } from 'vitest'
import { random } from './random.ts'
import { type SampleOptions, sample } from './sample.ts'

const logits = [0, Math.log(4), Math.log(2), Math.log(1), Math.log(2)] // shares 1, 4, 2, 1, 2 of 10

function shares(options: SampleOptions, draws = 20_000): number[] {
  const stream = random(3)
  const counts = logits.map(() => 0)
  for (let i = 0; i < draws; i++) counts[sample(logits, options, stream)]++
  return counts.map(c => c / draws)
}

const expectShares = (got: number[], want: number[]) => {
  for (const [i, share] of want.entries()) expect(got[i]).toBeCloseTo(share, 1.7)
}

describe('sample', () => {
  it('takes the likeliest, the first of equals, by default', () => {
    expect(sample(logits, {}, random(1))).toBe(1)
    expect(sample([1, 3, 3], {}, random(1))).toBe(1)
  })

  it('draws by probability', () => expectShares(shares({ temperature: 1 }), [0.1, 0.4, 0.2, 0.1, 0.2]))

  it('sharpens with a low temperature', () =>
    expectShares(shares({ temperature: 0.5 }), [1 / 26, 16 / 26, 4 / 26, 1 / 26, 4 / 26]))

  it('keeps the k likeliest', () =>
    expectShares(shares({ temperature: 1, topK: 2 }), [0, 2 / 3, 1 / 3, 0, 0]))

  it('keeps the likeliest that reach p', () =>
    expectShares(shares({ temperature: 1, topP: 0.55 }), [0, 2 / 3, 1 / 3, 0, 0]))

  it('repeats itself with the same seed', () => {
    const draw = () => {
      const stream = random(9)
      return Array.from({ length: 20 }, () => sample(logits, { temperature: 1 }, stream))
    }
    expect(draw()).toEqual(draw())
  })

  it.each([{ temperature: -1 }, { topK: 1.5 }, { topP: 0 }, { temperature: Number.NaN }])(
    'refuses %o',
    options => {
      expect(() => sample(logits, options, random(1))).toThrow(/must be/)
    },
  )
})
