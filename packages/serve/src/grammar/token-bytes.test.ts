import { openModel } from '@reallm/tensor-io'
import { openTokenizer } from '@reallm/tensor-io/models'
import { describe, expect, it } from 'vitest'
import { tokenBytes } from './token-bytes.ts'

const files = (tokenizer: Record<string, unknown>) => ({ files: { tokenizer, config: {} } })

describe('what tokens write', () => {
  it('adds up to the text that they stand for', async () => {
    const model = await openModel('npm:@reallm/tiny')
    const tokenizer = await openTokenizer(model)
    await model.close()
    const bytes = tokenBytes(tokenizer)
    const text = 'It was “the best” of times,\n\tnaïve 😀 {"a": [1, 2]}'
    const joined = tokenizer.encode(text).map(id => bytes[id])
    expect(Buffer.from(joined.join(''), 'latin1').toString()).toBe(text)
    for (const id of tokenizer.encode('<|im_start|><|im_end|>')) expect(bytes[id]).toBeUndefined()
  })

  it('has the spaces and bytes of SentencePiece', () => {
    const vocab = [
      ['<unk>', 0],
      ['▁the', -1],
      ['<0xC3>', 0],
      ['é', -2],
    ]
    const added_tokens = [
      { id: 0, content: '<unk>', special: true },
      { id: 4, content: '<tool_call>', special: false },
    ]
    const tokenizer = {
      model: { type: 'Unigram', vocab },
      added_tokens,
      decoder: { type: 'Sequence', decoders: [] },
    }
    expect(tokenBytes(files(tokenizer))).toEqual([undefined, ' the', 'Ã', 'Ã©', '<tool_call>'])
  })
})
