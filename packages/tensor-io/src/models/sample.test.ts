import { describe, expect, it } from 'vitest'
import { random } from '../core/random.ts'
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

/** Top-k and top-p over all tokens, the likeliest first; `at` of the distribution that is left. */
function drawnFromSorted(
  logits: Float32Array,
  temperature: number,
  { topK = logits.length, topP = 1 }: SampleOptions,
  at: number,
): number {
  const best = Math.max(...logits)
  const tokens = Array.from(logits, (logit, id) => ({ id, weight: Math.exp((logit - best) / temperature) }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, topK)
  const sum = (of: typeof tokens) => of.reduce((total, { weight }) => total + weight, 0)
  const enough = topP * sum(tokens)
  let reached = 0
  const kept = tokens.filter(({ weight }) => {
    reached += weight
    return reached - weight < enough
  })
  let left = at * sum(kept)
  return kept.find(({ weight }) => (left -= weight) < 0)!.id
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

  it('keeps those not too far from the likeliest', () =>
    expectShares(shares({ temperature: 1, minP: 0.3 }), [0, 0.5, 0.25, 0, 0.25]))

  it('weakens what was there before', () => {
    const draw = (repetitionPenalty: number) =>
      sample([2, 3, -1], { repetitionPenalty }, random(1), [1, 1, 2])
    expect([draw(1), draw(1.4), draw(1.6)]).toEqual([1, 1, 0])
    expect(sample([-1, -2], { repetitionPenalty: 3 }, random(1), [0])).toBe(1)
  })

  it.each([{ topK: 40, topP: 0.9 }, { topK: 2000 }, { topP: 0.5 }, { topP: 0.999 }])(
    'draws from a vocabulary of 5000 what sorting all of it gives: %o',
    limits => {
      const { normal } = random(1)
      const wide = Float32Array.from({ length: 5000 }, () => 3 * normal())
      const [stream, same] = [random(2), random(2)]
      for (let i = 0; i < 20; i++) {
        const drawn = sample(wide, { temperature: 0.7, ...limits }, stream)
        expect(drawn).toBe(drawnFromSorted(wide, 0.7, limits, same.uniform()))
      }
    },
  )

  it('draws what a constraint allows, by its share of that', () => {
    const constraint = { allows: (id: number) => id > 1, allowed: () => [2, 3, 4], accept() {} }
    expectShares(shares({ temperature: 1, constraint }), [0, 0, 0.4, 0.2, 0.4])
    expect(sample(logits, { constraint }, random(1))).toBe(2)
  })

  it('tells a constraint and whoever listens what was chosen', () => {
    const accepted: number[] = []
    const constraint = { allows: () => true, allowed: () => [], accept: (id: number) => accepted.push(id) }
    const heard: unknown[] = []
    const onSample = (id: number, given: ArrayLike<number>) => heard.push([id, given])
    sample(logits, { constraint, onSample, repetitionPenalty: 2 }, random(1), [1])
    expect(accepted).toEqual([1])
    expect(heard).toEqual([[1, logits]])
  })

  it('says where a constraint leaves nothing', () => {
    const constraint = { allows: () => false, allowed: () => [], accept() {} }
    expect(() => sample(logits, { constraint }, random(1))).toThrow(/no token of the vocabulary/)
  })

  it('says that a damaged model computes no numbers', () => {
    const broken = new Float32Array(8).fill(Number.NaN)
    for (const options of [{}, { temperature: 1 }, { topK: 2, temperature: 1 }]) {
      expect(() => sample(broken, options, random(1))).toThrow('the model computes NaN')
    }
  })

  it('repeats itself with the same seed', () => {
    const draw = () => {
      const stream = random(9)
      return Array.from({ length: 20 }, () => sample(logits, { temperature: 1 }, stream))
    }
    expect(draw()).toEqual(draw())
  })

  it.each([
    { temperature: -1 },
    { topK: 1.5 },
    { topP: 0 },
    { minP: 2 },
    { repetitionPenalty: 0 },
    { temperature: Number.NaN },
  ])('refuses %o', options => {
    expect(() => sample(logits, options, random(1))).toThrow(/must be/)
  })
})
