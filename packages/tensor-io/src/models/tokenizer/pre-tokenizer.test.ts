import { describe, expect, it } from 'vitest'
import { preTokenizerOf, splitterOf, type TokenizerPart } from './pre-tokenizer.ts'
import { splitterNamed, wordSplitters } from './word-splitters.ts'

const nameOf = (pre: object, normalizer: TokenizerPart | null = null, ignoresMerges = false) =>
  splitterOf(normalizer, pre as TokenizerPart, ignoresMerges)?.names[0]
const split = (Regex: string, more = {}) => ({
  type: 'Split',
  pattern: { Regex },
  behavior: 'Isolated',
  ...more,
})
const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers })
const llama3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

describe('word splitters', () => {
  it('have one name each', () => {
    const names = wordSplitters.flatMap(splitter => splitter.names)
    expect(new Set(names).size).toBe(names.length)
  })

  it.each(wordSplitters.map(splitter => [splitter.names[0], splitter] as const))(
    '%s is what its pre_tokenizer says',
    (name, splitter) => {
      const normalizer = splitter.nfc ? { type: 'NFC' } : null
      expect(nameOf(preTokenizerOf(splitter), normalizer, splitter.ignoresMerges)).toBe(name)
    },
  )

  it('are found under every form of the same cuts', () => {
    expect(nameOf({ type: 'ByteLevel', add_prefix_space: false })).toBe('gpt-2')
    expect(nameOf(sequence({ type: 'Digits', individual_digits: true }, { ...bytes, use_regex: true }))).toBe(
      'smollm',
    )
    expect(nameOf(sequence(split(llama3), bytes), null, true)).toBe('llama-bpe')
    expect(nameOf(sequence(split(llama3), bytes))).toBe('smaug-bpe')
    expect(nameOf(sequence(split(llama3, { behavior: 'Removed', invert: true }), bytes))).toBe('smaug-bpe')
    expect(nameOf(sequence(sequence(split(llama3)), bytes), { type: 'Sequence', normalizers: [] })).toBe(
      'smaug-bpe',
    )
  })

  it.each([
    ['a space in front', { ...bytes, use_regex: true, add_prefix_space: true }],
    ['another expression', sequence(split('\\w+'), bytes)],
    ['pieces that are thrown away', sequence(split('\\p{N}', { behavior: 'Removed' }), bytes)],
    ['punctuation', sequence({ type: 'Punctuation' }, bytes)],
    ['bytes of bytes', sequence({ ...bytes, use_regex: true }, bytes)],
  ])('have no name for %s', (_, pre) => expect(nameOf(pre)).toBeUndefined())

  it('have no name for another normalisation', () => {
    expect(nameOf({ ...bytes, use_regex: true }, { type: 'Lowercase' })).toBeUndefined()
    expect(nameOf({ ...bytes, use_regex: true }, { type: 'NFC' })).toBeUndefined()
  })

  it('know other names of llama.cpp', () => {
    expect(splitterNamed('deepseek-r1-qwen')).toBe(splitterNamed('qwen2'))
    expect(splitterNamed('falcon3')).toBe(splitterNamed('llama-bpe'))
    expect(splitterNamed('kimi-k2')).toBeUndefined()
  })
})
