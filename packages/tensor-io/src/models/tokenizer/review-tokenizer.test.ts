import { describe, expect, it } from 'vitest'
import { createTokenizer } from './create-tokenizer.ts'
import { reviewTokenizer } from './review-tokenizer.ts'

const bpe = { type: 'BPE', vocab: { a: 0 }, merges: [] }
const review = (parts: object) => reviewTokenizer({ model: bpe, ...parts })
const split = (behavior: string, more: object = {}) => ({
  type: 'Split',
  pattern: { String: ' ' },
  behavior,
  ...more,
})

describe('reviewTokenizer', () => {
  it('knows what current tokenizers are made of', () => {
    expect(
      review({
        ...{
          version: '1.0',
          truncation: { max_length: 512 },
          padding: {},
          added_tokens: [{ id: 1, content: 'b' }],
        },
        model: { ...bpe, dropout: null, continuing_subword_prefix: '', byte_fallback: true, fuse_unk: true },
        normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Prepend', prepend: '▁' }] },
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [split('Isolated', { invert: false }), { type: 'ByteLevel', use_regex: false }],
        },
        post_processor: { type: 'TemplateProcessing', single: [], pair: [], special_tokens: {} },
        decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
      }),
    ).toEqual([])
    expect(reviewTokenizer({ model: { vocab: [['a', 0]] } })).toEqual([])
  })

  it.each([
    [{ normalizer: { type: 'Nmt' } }, 'the normalizer Nmt is not supported'],
    [{ pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'UnicodeScripts' }] } }, 'UnicodeScripts'],
    [{ decoder: { type: 'New' } }, 'the decoder New is not supported'],
    [{ model: { type: 'Other' } }, 'the model Other is not supported'],
    [{ model: { ...bpe, dropout: 0.1 } }, 'dropout 0.1 of the model BPE'],
    [{ model: { ...bpe, continuing_subword_prefix: '##' } }, 'continuing_subword_prefix "##"'],
    [{ pre_tokenizer: split('MergedWithNext') }, 'behavior "MergedWithNext" of the pre_tokenizer Split'],
    [{ pre_tokenizer: split('Isolated', { invert: true }) }, 'behavior "Isolated"'],
    [{ pre_tokenizer: { type: 'Punctuation', behavior: 'Isolated' } }, 'behavior "Isolated"'],
    [{ pre_tokenizer: { type: 'Metaspace', add_prefix_space: false } }, 'add_prefix_space false'],
  ])('refuses what would give other ids: %o', (parts, message) => {
    expect(() => review(parts)).toThrow(message)
  })

  it('lets a split pass that has nothing to split', () => {
    const normalizer = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
    expect(review({ normalizer, pre_tokenizer: split('MergedWithPrevious') })).toEqual([])
  })

  it('returns what is not known and what is approximated', () => {
    expect(review({ something: 1, other: null, model: { ...bpe, new_option: true, off: false } })).toEqual([
      'something',
      'BPE.new_option',
    ])
    expect(review({ normalizer: { type: 'Precompiled', precompiled_charsmap: 'x' } })).toEqual([])
    expect(review({ pre_tokenizer: { type: 'Whitespace' } })).toEqual([
      'Whitespace (ids may differ for letters other than a to z)',
    ])
    expect(review({ added_tokens: [{ id: 1, content: 'b', single_word: true }] })).toEqual([
      'single_word of added tokens',
    ])
  })
})

describe('Unigram with byte fallback', () => {
  const pieces = ['<unk>', '▁', '▁the', 't', 'h', 'e', ...['<0xC3>', '<0xA9>', '<0xE2>', '<0x82>', '<0xAC>']]
  const vocab = pieces.map((piece, i) => [piece, i === 0 ? 0 : piece === '▁the' ? -2 : -8])
  const make = (model: object) =>
    createTokenizer({
      tokenizer: {
        model: { type: 'Unigram', unk_id: 0, vocab, ...model },
        pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
        decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
      },
      config: {},
    })

  it('writes unknown characters in bytes, runs of them too', () => {
    const tokenizer = make({ byte_fallback: true })
    expect(tokenizer.encode('the é')).toEqual([2, 1, 6, 7])
    expect(tokenizer.encode('é€h')).toEqual([1, 6, 7, 8, 9, 10, 4])
    expect(tokenizer.decode([6, 7, 8, 9, 10])).toBe('é€')
  })

  it('keeps the unknown token where a byte is missing, and without the fallback', () => {
    expect(make({ byte_fallback: true }).encode('thex')).toEqual([2, 0])
    expect(make({ byte_fallback: false }).encode('the é')).toEqual([2, 1, 0])
  })
})

it('a text that the tokenizer has no tokens for is refused, not guessed', () => {
  const model = { type: 'WordLevel', vocab: { a: 0, b: 1 } }
  const tokenizer = createTokenizer({
    tokenizer: { model, pre_tokenizer: { type: 'WhitespaceSplit' } },
    config: {},
  })
  expect(tokenizer.encode('b a')).toEqual([1, 0])
  expect(() => tokenizer.encode('a c')).toThrow('the tokenizer has no token for "c"')
})
