import { describe, expect, it } from 'vitest'
import { goldenTokenizers } from '../../../test/golden-tokenizers.ts'
import { createTokenizer, type TokenizerFiles } from './create-tokenizer.ts'
import { tokenizerFromGguf } from './tokenizer-from-gguf.ts'
import { tokenizerToGguf } from './tokenizer-to-gguf.ts'

const { texts, tokenizers } = goldenTokenizers()
const config = { eos_token: '</s>', unk_token: '<unk>' }

interface Unigram {
  readonly vocab: readonly (readonly [piece: string, score: number])[]
}

/** Of pieces that stand there twice, the first, which no text reaches, gets a name of its own. */
function withoutTwins(tokenizer: TokenizerFiles['tokenizer']): TokenizerFiles['tokenizer'] {
  const model = tokenizer.model as Unigram
  const last = new Map(model.vocab.map(([piece], id) => [piece, id]))
  const vocab = model.vocab.map(([piece, score], id) => [last.get(piece) === id ? piece : `${piece}#`, score])
  return { ...tokenizer, model: { ...model, vocab } }
}

function written(given: TokenizerFiles['tokenizer'], more = 0) {
  const tokenizer = withoutTwins(given)
  const { vocab } = tokenizer.model as Unigram
  const metadata = tokenizerToGguf(createTokenizer({ tokenizer, config }), vocab.length + more)
  return Object.fromEntries(Object.entries(metadata).map(([key, { value }]) => [key, value]))
}

describe('SentencePiece’s Unigram in GGUF', () => {
  it.each(['unigram-charsmap', 'unigram-bytes'])('%s keeps the ids of Python’s tokenizers', name => {
    const { tokenizer, ids, decoded } = tokenizers[name]
    const metadata = written(tokenizer, 3)
    expect(metadata['tokenizer.ggml.model']).toBe('t5')
    const { encode, decode } = createTokenizer(tokenizerFromGguf(metadata))
    for (const [i, text] of texts.entries()) {
      expect([text, encode(text)]).toEqual([text, ids[i]])
      expect(decode(ids[i], { special: true })).toBe(decoded[i])
    }
  })

  it('says scores, types, the map of characters, and what becomes of spaces', () => {
    const { tokenizer } = tokenizers['unigram-charsmap']
    const { vocab } = tokenizer.model as Unigram
    const metadata = written(tokenizer)
    expect(metadata).toMatchObject({
      'tokenizer.ggml.scores': vocab.map(([, score]) => score),
      'tokenizer.ggml.unknown_token_id': 2,
      'tokenizer.ggml.add_space_prefix': true,
      'tokenizer.ggml.remove_extra_whitespaces': true,
      'tokenizer.ggml.eos_token_id': 1,
      'tokenizer.ggml.add_eos_token': false,
    })
    expect((metadata['tokenizer.ggml.token_type'] as number[]).slice(0, 5)).toEqual([3, 3, 2, 3, 1])
    expect(metadata['tokenizer.ggml.precompiled_charsmap']).toHaveLength(
      Buffer.from(JSON.stringify(tokenizer).match(/precompiled_charsmap":"([^"]+)/)![1], 'base64').length,
    )
  })

  it('ends texts with </s> where the file says nothing', () => {
    const { 'tokenizer.ggml.add_eos_token': _, ...metadata } = written(
      tokenizers['unigram-charsmap'].tokenizer,
    )
    expect(createTokenizer(tokenizerFromGguf(metadata)).encode('a', { special: true }).at(-1)).toBe(1)
  })

  it('refuses what llama.cpp has no form of', () => {
    expect(() => written(tokenizers.unigram.tokenizer)).toThrow(/no form of .*NFKC/)
  })

  it('refuses a map of characters that its bytes do not hold', () => {
    const metadata = {
      ...written(tokenizers['unigram-charsmap'].tokenizer),
      'tokenizer.ggml.precompiled_charsmap': [255, 255, 0, 0, 1, 2],
    }
    expect(() => createTokenizer(tokenizerFromGguf(metadata))).toThrow(/its trie does not fit its bytes/)
  })
})
