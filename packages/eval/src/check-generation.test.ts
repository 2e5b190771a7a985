import { load, type Model } from '@reallm/runtime'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkGeneration } from './check-generation.ts'

let model: Model
let coarse: Model
beforeAll(async () => {
  model = await load('npm:@reallm/tiny', { weights: 'f32' })
  coarse = await load('npm:@reallm/tiny', { weights: 'int8' })
})
afterAll(() => {
  model.dispose()
  coarse.dispose()
})

it('continues as generate does, and compares with another model', async () => {
  const prompts = ['The whale', 'Call me'].map(text => model.tokenizer!.encode(text, { special: true }))
  const found = await checkGeneration(model, prompts, { tokens: 12, against: model })
  expect(found).toMatchObject({ prompts: 2, agreement: 1 })
  expect(found.repetition).toBe(found.otherRepetition)
  for (const [i, ids] of found.continuations.entries()) {
    const text = await model.generate(prompts[i], { maxTokens: 12, temperature: 0 }).text()
    expect(model.tokenizer!.decode(ids)).toBe(text)
  }
  const { agreement } = await checkGeneration(coarse, prompts, { tokens: 12, against: model })
  expect(agreement).toBeGreaterThan(0)
  await expect(checkGeneration(model, [])).rejects.toMatchObject({ code: 'bad-option' })
})
