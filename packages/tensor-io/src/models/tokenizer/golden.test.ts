import { describe, expect, it } from 'vitest'
import { goldenTokenizers } from '../../../test/golden-tokenizers.ts'
import { createTokenizer } from './create-tokenizer.ts'

const { texts, tokenizers } = goldenTokenizers()

describe('tokenizers in the forms that families have give the ids of Python’s tokenizers', () => {
  it.each(Object.entries(tokenizers))('%s', (_, { tokenizer, ids, decoded, cut }) => {
    const { encode, decode } = createTokenizer({ tokenizer, config: {} })
    for (const [i, text] of texts.entries()) {
      expect([text, encode(text)]).toEqual([text, ids[i]])
      expect(decode(ids[i], { special: true })).toBe(decoded[i])
      expect(decode(ids[i].slice(0, -1), { special: true })).toBe(cut[i])
    }
  })
})
