import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { createTokenizer, type TextTokenizer } from './create-tokenizer.ts'
import { tokenizerFromGguf } from './tokenizer-from-gguf.ts'

const fixture = (name: string) => new URL(`../../../test/fixtures/${name}`, import.meta.url)

describe('SmolLM2’s tokenizer from GGUF metadata', () => {
  let tokenizer: TextTokenizer
  beforeAll(async () => {
    const metadata = JSON.parse(gunzipSync(await readFile(fixture('smollm2-tokenizer.json.gz'))).toString())
    tokenizer = createTokenizer(tokenizerFromGguf(metadata))
  })

  it('gives the reference ids, and the texts back', async () => {
    const cases: { text: string; ids: number[] }[] = JSON.parse(
      await readFile(fixture('smollm2-tokens.json'), 'utf8'),
    )
    expect(cases).toHaveLength(9)
    for (const { text, ids } of cases) {
      expect(tokenizer.encode(text)).toEqual(ids)
      expect(tokenizer.decode(ids, { special: true })).toBe(text)
    }
  })

  it('takes numbers of all scripts for digits, as Python’s tokenizers do', () => {
    expect(tokenizer.encode('½ ٣ ²³')).toEqual([16738, 216, 164, 113, 216, 19133, 39050])
  })

  it('leaves special tokens out of decoded text', () => {
    expect(tokenizer.decode(tokenizer.encode('<|im_start|>user\nHi<|im_end|>\n'))).toBe('user\nHi\n')
  })

  it('writes a conversation by its template', () => {
    const messages = [{ role: 'user', content: 'Hi' }]
    const system = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'
    const said = `<|im_start|>system\n${system}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n`
    expect(tokenizer.chat(messages)).toBe(`${said}<|im_start|>assistant\n`)
    expect(tokenizer.chat(messages, { answer: false })).toBe(said)
    expect(tokenizer.eos).toEqual([2])
  })
})

describe('SentencePiece from GGUF metadata', () => {
  const pieces: [string, number, number][] = [
    ['<unk>', 2, 0],
    ['<s>', 3, 0],
    ['</s>', 3, 0],
    ['<0xC3>', 6, 0],
    ['<0xA9>', 6, 0],
    ['▁the', 1, -1],
    ['he', 1, -2],
    ['▁t', 1, -3],
    ['▁', 1, -4],
    ['t', 1, -5],
    ['h', 1, -6],
    ['e', 1, -7],
  ]
  const metadata = {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': pieces.map(p => p[0]),
    'tokenizer.ggml.token_type': pieces.map(p => p[1]),
    'tokenizer.ggml.scores': pieces.map(p => p[2]),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.unknown_token_id': 0,
  }
  const tokenizer = createTokenizer(tokenizerFromGguf(metadata))

  it('merges by score, puts a space in front and falls back to bytes', () => {
    expect(tokenizer.encode('the the')).toEqual([5, 5])
    expect(tokenizer.encode('hé')).toEqual([8, 10, 3, 4])
    expect(tokenizer.decode([8, 10, 3, 4])).toBe('hé')
    expect(tokenizer.decode([5, 5])).toBe('the the')
  })

  it('adds BOS when special tokens are asked for', () => {
    expect(tokenizer.encode('the', { special: true })).toEqual([1, 5])
    expect(tokenizer.bos).toBe(1)
    expect(tokenizer.eos).toEqual([2])
  })

  it('adds no space when told so', () => {
    const plain = createTokenizer(
      tokenizerFromGguf({ ...metadata, 'tokenizer.ggml.add_space_prefix': false }),
    )
    expect(plain.encode('the')).toEqual([9, 6])
    expect(plain.decode([5])).toBe(' the')
  })
})

describe('word splitters', () => {
  const bytes = [...'0123456789abcdefghijklmnopqrstuvwxyz', 'Ġ', "'"]
  const merged = ['12', '123', 'ab']
  const make = (pre: string) =>
    createTokenizer(
      tokenizerFromGguf({
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.pre': pre,
        'tokenizer.ggml.tokens': [...bytes, ...merged],
        'tokenizer.ggml.merges': ['1 2', '12 3', 'a b'],
      }),
    )
  const texts = (pre: string, text: string) =>
    make(pre)
      .encode(text)
      .map(id => [...bytes, ...merged][id])

  it.each([
    ['gpt-2', ['123', '4', 'Ġ', 'ab']],
    ['smollm', ['1', '2', '3', '4', 'Ġ', 'ab']],
    ['qwen2', ['1', '2', '3', '4', 'Ġ', 'ab']],
    ['llama-bpe', ['123', '4', 'Ġ', 'ab']],
  ])('%s', (pre, want) => expect(texts(pre, '1234 ab')).toEqual(want))

  it('refuses an unknown one', () => {
    expect(() => make('kimi-k2')).toThrow('kimi-k2')
  })
})

describe('functions that a model may call', () => {
  const template =
    '{% if tools %}{{ tools | tojson }};{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }}' +
    '{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments | tojson }}){% endfor %};{% endfor %}'
  const tokenizer = createTokenizer({
    tokenizer: { model: { type: 'BPE', vocab: { a: 0 }, merges: [] } },
    config: { chat_template: template },
  })
  const tool = { type: 'function', function: { name: 'now', parameters: { type: 'object' } } } as const
  const call = { id: '1', type: 'function', function: { name: 'now', arguments: { in: 'Oslo' } } } as const

  it('are told to the template, and what was called', () => {
    const messages = [
      { role: 'user', content: 'Time?' },
      { role: 'assistant', content: '', tool_calls: [call] },
      { role: 'tool', content: '9:00', tool_call_id: '1' },
    ]
    expect(tokenizer.chat(messages, { tools: [tool] })).toBe(
      `[${'{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}'}];` +
        'user:Time?;assistant:now({"in": "Oslo"});tool:9:00;',
    )
  })

  it('are no part of a conversation without any', () => {
    expect(tokenizer.chat([{ role: 'user', content: 'Hi' }])).toBe('user:Hi;')
  })
})

describe('refusals', () => {
  it('of kinds of tokenizer, and of chat without a template', () => {
    const metadata = { 'tokenizer.ggml.tokens': ['a'], 'tokenizer.ggml.model': 'bert' }
    expect(() => tokenizerFromGguf(metadata)).toThrow('bert')
    expect(() => tokenizerFromGguf({})).toThrow('no tokenizer')
    const bare = createTokenizer({
      tokenizer: { model: { type: 'BPE', vocab: { a: 0 }, merges: [] } },
      config: {},
    })
    expect(() => bare.chat([{ role: 'user', content: 'a' }])).toThrow('no chat template')
    expect(bare.decode([])).toBe('')
  })
})

describe('what strangers wrote', () => {
  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] }
  const split = (Regex: unknown) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  })
  it.each([
    ['no model', {}, 'there is no model'],
    ['no vocabulary', { model: { ...model, vocab: 7 } }, 'the vocabulary is no table'],
    ['an id that is no number', { model: { ...model, vocab: { a: '0' } } }, 'the token "a" has the id "0"'],
    ['an id beyond any table', { model: { ...model, vocab: { a: 2 ** 40 } } }, 'the token "a" has the id'],
    ['scores that are texts', { model: { type: 'Unigram', vocab: [['a', 'b']] } }, 'no token with a score'],
    ['merges that are no list', { model: { ...model, merges: 1 } }, 'merges is no list'],
    ['merges of three', { model: { ...model, merges: [['a', 'b', 'c']] } }, 'merges is no list'],
    ['added tokens that are no list', { model, added_tokens: 5 }, 'added_tokens is no list'],
    ['added tokens without text', { model, added_tokens: [{ id: 3 }] }, 'added_tokens is no list'],
    ['an unknown part', { model, decoder: { type: 'Magic' } }, 'it makes no tokenizer'],
    [
      'parts that are numbers',
      { model, decoder: { type: 'Sequence', decoders: [5] } },
      'no part of a tokenizer',
    ],
    ['a pattern without an end', { model, pre_tokenizer: split('(a+)+$') }, 'repeats what varies'],
    ['a pattern that is a number', { model, pre_tokenizer: split(5) }, 'a pattern that is no text'],
    ['a pattern that cannot be read', { model, pre_tokenizer: split('[b-a]') }, 'it makes no tokenizer'],
    ['pieces of length 0', { model, pre_tokenizer: { type: 'FixedLength', length: 0 } }, 'has the length 0'],
  ])('%s', (_, tokenizer, message) => {
    const make = () => createTokenizer({ tokenizer, config: {} }, [], 'model/tokenizer.json')
    expect(make).toThrow(expect.objectContaining({ name: 'ReallmError' }))
    expect(make).toThrow(/^model\/tokenizer.json: /)
    expect(make).toThrow(message)
  })

  it.each([
    ['tokens that are numbers', { model: 'llama', tokens: [1, 2] }, 'tokens is no list of texts'],
    ['no merges', { model: 'gpt2', tokens: ['a'] }, 'it has no tokenizer.ggml.merges'],
    ['merges that are numbers', { model: 'gpt2', tokens: ['a'], merges: [1] }, 'merges is no list of texts'],
    ['scores for other tokens', { model: 'llama', tokens: ['a'], scores: [1, 2] }, '2 values for 1 tokens'],
    ['types that are a text', { model: 'llama', tokens: ['a'], token_type: 'b' }, 'is no list of numbers'],
  ])('GGUF: %s', (_, values, message) => {
    const metadata = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
    )
    const make = () => tokenizerFromGguf(metadata, 'x.gguf')
    expect(make).toThrow(expect.objectContaining({ name: 'ReallmError', code: 'bad-file' }))
    expect(make).toThrow(/^x.gguf: /)
    expect(make).toThrow(message)
  })
})
