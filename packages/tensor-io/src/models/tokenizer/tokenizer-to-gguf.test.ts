import { describe, expect, it } from 'vitest'
import { createTokenizer, type TokenizerFiles } from './create-tokenizer.ts'
import { tokenizerFromGguf } from './tokenizer-from-gguf.ts'
import { tokenizerToGguf } from './tokenizer-to-gguf.ts'

const special = (id: number, content: string, more = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...more,
})
const words = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
const template = (...parts: (string | object)[]) => ({
  type: 'TemplateProcessing',
  single: parts.map(id =>
    id === 'A' ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } },
  ),
  pair: [],
  special_tokens: {
    '<s>': { id: '<s>', ids: [3], tokens: ['<s>'] },
    '</s>': { id: '</s>', ids: [4], tokens: ['</s>'] },
  },
})

const files = (tokenizer: object = {}, config: object = {}): TokenizerFiles => ({
  tokenizer: {
    normalizer: null,
    pre_tokenizer: words,
    post_processor: null,
    decoder: words,
    added_tokens: [special(3, '<s>'), special(4, '</s>'), special(5, '<tool>', { special: false })],
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
    ...tokenizer,
  },
  config: { bos_token: '<s>', eos_token: '</s>', ...config },
})
const write = (given: TokenizerFiles, rows = 6, eos: number[] = []) =>
  tokenizerToGguf(createTokenizer(given, eos), rows)
const valuesOf = (metadata: ReturnType<typeof write>) =>
  Object.fromEntries(Object.entries(metadata).map(([key, { value }]) => [key, value]))

describe('tokenizerToGguf', () => {
  it('writes byte-level BPE with its types, merges and ends', () => {
    const metadata = valuesOf(write(files({ post_processor: template('<s>', 'A') })))
    expect(metadata).toMatchObject({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': ['a', 'b', 'ab', '<s>', '</s>', '<tool>'],
      'tokenizer.ggml.token_type': [1, 1, 1, 3, 3, 4],
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.bos_token_id': 3,
      'tokenizer.ggml.eos_token_id': 4,
      'tokenizer.ggml.add_bos_token': true,
      'tokenizer.ggml.add_eos_token': false,
    })
  })

  it('fills the rows of the embedding with unused tokens, which reading leaves out', () => {
    const given = files({
      model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, '[PAD7]': 6 }, merges: [['a', 'b']] },
    })
    const metadata = valuesOf(write(given, 9))
    expect(metadata['tokenizer.ggml.tokens']).toEqual([
      'a',
      'b',
      'ab',
      '<s>',
      '</s>',
      '<tool>',
      '[PAD7]',
      '[[PAD7]]',
      '[PAD8]',
    ])
    expect(metadata['tokenizer.ggml.token_type']).toEqual([1, 1, 1, 3, 3, 4, 1, 5, 5])
    const { vocab } = tokenizerFromGguf(metadata).tokenizer.model as { vocab: object }
    expect(Object.keys(vocab)).toEqual(['a', 'b', 'ab', '<s>', '</s>', '<tool>', '[PAD7]'])
  })

  it('leaves out added tokens beyond the embedding, and refuses others there', () => {
    expect(valuesOf(write(files(), 5))['tokenizer.ggml.tokens']).toHaveLength(5)
    expect(() => write(files(), 2)).toThrow('the token "ab" has id 2, the embedding 2 rows')
  })

  it.each([
    ['nothing', ['A'], [0]],
    ['a beginning', ['<s>', 'A'], [3, 0]],
    ['an end', ['A', '</s>'], [0, 4]],
    ['both', ['<s>', 'A', '</s>'], [3, 0, 4]],
  ])('keeps %s around a text', (_, parts, ids) => {
    const metadata = valuesOf(write(files({ post_processor: template(...parts) })))
    expect(createTokenizer(tokenizerFromGguf(metadata)).encode('a', { special: true })).toEqual(ids)
  })

  it('keeps up to three ends of a text, those with known names without a key', () => {
    const tokenizer = { added_tokens: [special(3, '<s>'), special(4, '</s>'), special(5, '<|im_end|>')] }
    expect(valuesOf(write(files(tokenizer), 6, [4, 0, 5, 1]))).toMatchObject({
      'tokenizer.ggml.eos_token_id': 4,
      'tokenizer.ggml.eot_token_id': 0,
      'tokenizer.ggml.eom_token_id': 1,
    })
    expect(() => write(files(tokenizer), 6, [4, 0, 1, 2])).toThrow('not for a, b, ab')
  })

  it('keeps named chat templates', () => {
    const chat_template = [
      { name: 'tools', template: 'T' },
      { name: 'default', template: 'D' },
    ]
    const metadata = valuesOf(write(files({}, { chat_template })))
    expect(metadata).toMatchObject({ 'tokenizer.chat_template': 'D', 'tokenizer.chat_template.tools': 'T' })
    expect(tokenizerFromGguf(metadata).config.chat_template).toEqual([chat_template[1], chat_template[0]])
  })

  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] }
  it.each([
    ['another kind', { model: { type: 'WordPiece', vocab: { a: 0 } } }, 'a WordPiece tokenizer has no form'],
    [
      'suffixes of words',
      { model: { ...model, end_of_word_suffix: '</w>' } },
      'no key for end_of_word_suffix',
    ],
    [
      'cuts without a name',
      { pre_tokenizer: { ...words, add_prefix_space: true } },
      'no name for how it cuts texts',
    ],
    ['characters without bytes', { pre_tokenizer: null }, 'neither byte-level BPE nor SentencePiece'],
    ['two ids of a token', { added_tokens: [special(3, 'ab')] }, '"ab" has the ids 2 and 3'],
    [
      'two tokens before a text',
      { post_processor: template('<s>', '</s>', 'A') },
      'what goes around a text here: <s> and </s>',
    ],
    [
      'another end behind a text',
      { post_processor: template('A', '<s>') },
      '<s> goes behind a text, </s> ends one',
    ],
  ])('refuses %s', (_, tokenizer, message) => {
    expect(() => write(files(tokenizer))).toThrow(message)
  })
})

describe('SentencePiece', () => {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)
  const pieces = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', '▁a', '▁▁']
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const prepend = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] }
  const metaspace = (prepend_scheme: string) => ({
    type: 'Metaspace',
    replacement: '▁',
    prepend_scheme,
    split: false,
  })
  const spm = (tokenizer: object = {}) =>
    files(
      {
        normalizer: prepend,
        pre_tokenizer: null,
        added_tokens: [
          ...['<unk>', '<s>', '</s>'].map((content, id) => special(id, content)),
          special(262, '▁▁', { special: false }),
        ],
        model: { type: 'BPE', vocab, merges: ['▁ a', '▁ ▁'], byte_fallback: true, unk_token: '<unk>' },
        ...tokenizer,
      },
      { unk_token: '<unk>' },
    )

  it('becomes llama with scores, types of bytes and runs of spaces as ordinary pieces', () => {
    const metadata = valuesOf(write(spm(), 264))
    expect(metadata).toMatchObject({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.add_space_prefix': true,
      'tokenizer.ggml.unknown_token_id': 0,
    })
    const types = metadata['tokenizer.ggml.token_type'] as number[]
    expect(types.slice(0, 4)).toEqual([2, 3, 3, 6])
    expect(types.slice(258)).toEqual([6, 1, 1, 1, 1, 5])
    expect((metadata['tokenizer.ggml.scores'] as number[]).slice(259)).toEqual([-2, -2, 0, -1, -2])
    const read = createTokenizer(tokenizerFromGguf(metadata))
    expect(read.encode('a  é')).toEqual([261, 262, 3 + 0xc3, 3 + 0xa9])
  })

  it.each([
    [
      'Gemma',
      {
        normalizer: replace,
        pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious' },
      },
    ],
    ['Metaspace', { normalizer: null, pre_tokenizer: metaspace('never') }],
  ])('without a space in front: %s', (_, tokenizer) => {
    expect(valuesOf(write(spm(tokenizer), 263))['tokenizer.ggml.add_space_prefix']).toBe(false)
  })

  it.each([
    [
      'a space at the very beginning only',
      { normalizer: null, pre_tokenizer: metaspace('first') },
      'Metaspace with prepend_scheme first',
    ],
    ['other normalisers', { normalizer: { type: 'NFKC' } }, 'llama.cpp has no form of'],
    [
      'ignored merges',
      { model: { type: 'BPE', vocab, merges: [], byte_fallback: true, ignore_merges: true } },
      'no ignore_merges',
    ],
  ])('refuses %s', (_, tokenizer, message) => {
    expect(() => write(spm(tokenizer), 263)).toThrow(message)
  })
})
