import { describe, expect, it } from 'vitest'
import { unknownGgufKeys } from './config-keys.ts'
import { recorded } from './recorded.ts'

describe('unknownGgufKeys', () => {
  const review = (more: Record<string, unknown>) => {
    const metadata = { 'general.architecture': 'llama', ...more }
    return unknownGgufKeys(metadata, Object.keys(metadata), 64)
  }

  it('knows what is not about the computation, and what is off', () => {
    const metadata = {
      ...{
        'general.file_type': 1,
        'tokenizer.ggml.model': 'gpt2',
        'quantize.imatrix.file': 'x',
        'split.count': 1,
      },
      ...{ 'llama.vocab_size': 320, 'llama.expert_count': 0, 'llama.use_something': false },
      ...{ 'llama.rope.dimension_count': 64, 'llama.attention.value_length': 64n },
    }
    expect(review(metadata)).toEqual([])
  })

  it('returns what nothing read, and refuses heads that turn in part', () => {
    expect(review({ 'llama.logit_scale': 8, 'llama.expert_count': 4 })).toEqual([
      'llama.logit_scale',
      'llama.expert_count',
    ])
    expect(() => review({ 'llama.rope.dimension_count': 32 })).toThrow('llama.rope.dimension_count 32')
  })
})

it('recorded notes which keys are read', () => {
  const { source, unread } = recorded({ a: 1, b: 2, c: 3 })
  expect([source.b, 'c' in source]).toEqual([2, true])
  expect(unread()).toEqual(['a', 'c'])
})
