import { random } from '@reallm/tensor-io'
import { distribution, sample } from '@reallm/tensor-io/models'
import { describe, expect, it } from 'vitest'
import { acceptDraft } from './accept-draft.ts'

const wanted = [0.1, 2, 0.7, -1, 1.5, 0]
const draft = [1.2, 0.3, 1.9, -1, 1.4, -2]

describe.each([
  { temperature: 1 },
  { temperature: 0.7, topK: 3 },
  { temperature: 1.2, topP: 0.7 },
  { temperature: 1, minP: 0.2 },
  {},
])('with %o', options => {
  it('what is kept and what is drawn instead is distributed as the model says', () => {
    const draws = random(9)
    const counts = wanted.map(() => 0)
    const [p, q] = [distribution(wanted, options), distribution(draft, options)]
    for (let i = 0; i < 40_000; i++) counts[acceptDraft(sample(draft, options, draws), p, q, draws)]++
    for (const id of wanted.keys()) {
      const share = p.ids.includes(id) ? p.weightOf(id) / p.total : 0
      expect(counts[id] / 40_000).toBeCloseTo(share, 1.9)
    }
  })

  it('a draft as good as the model is always kept', () => {
    const draws = random(4)
    const p = distribution(wanted, options)
    for (let i = 0; i < 1000; i++) {
      const id = sample(wanted, options, draws)
      expect(acceptDraft(id, p, p, draws)).toBe(id)
    }
  })
})
