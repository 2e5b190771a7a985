import { ReallmError } from '@reallm/tensor-io'
import { createTokenizer, type TokenizerFiles } from '@reallm/tensor-io/tokenizer'
import { byteLevelTokenizer, sentencePieceTokenizer } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import { requireSameTokenizer, requireSameTokenizers } from './compare-tokenizers.ts'

const rows = 320
const plain = byteLevelTokenizer()
const compare = (a: TokenizerFiles, b: TokenizerFiles, ends: number[] = []) =>
  requireSameTokenizer(createTokenizer(a), createTokenizer(b, ends), 'GGUF', rows)
const changed = (tokenizer: object, config: object = {}): TokenizerFiles => ({
  tokenizer: { ...plain.tokenizer, ...tokenizer },
  config: { ...plain.config, ...config },
})

describe('requireSameTokenizer', () => {
  it('takes tokenizers that do the same', () => {
    expect(() => compare(plain, byteLevelTokenizer())).not.toThrow()
    expect(() => compare(sentencePieceTokenizer(), sentencePieceTokenizer())).not.toThrow()
  })

  it.each<[string, TokenizerFiles, string]>([
    [
      'cuts',
      changed({ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } }),
      'GGUF cannot hold this tokenizer: "a  b" gives [97,32,32,98]',
    ],
    ['a beginning', byteLevelTokenizer({ begins: true }), '"" gives [], it would give [270]'],
    ['texts of ids', changed({ decoder: { type: 'Fuse' } }), 'gives " ", it would give "Ġ"'],
    [
      'added tokens',
      changed({ added_tokens: (plain.tokenizer.added_tokens as object[]).slice(0, 3) }),
      '"<tool>" gives [273]',
    ],
    ['a chat template', changed({}, { chat_template: 'x' }), 'the chat template gives'],
  ])('names a difference in %s', (_, other, message) => {
    expect(() => compare(plain, other)).toThrow(message)
  })

  it('names another end of texts', () => {
    expect(() => compare(plain, plain, [5])).toThrow('the ends of texts gives [271], it would give [271,5]')
  })
})

describe('requireSameTokenizers', () => {
  const has = (files: TokenizerFiles) => ({ tokenizer: async () => createTokenizer(files) })
  const fails = (code: 'not-found' | 'unsupported') => ({
    tokenizer: async () => {
      throw new ReallmError(code, 'no tokenizer')
    },
  })

  it('compares what is there', async () => {
    await requireSameTokenizers(has(plain), has(plain), 'the package', rows)
    await requireSameTokenizers(fails('not-found'), fails('not-found'), 'the package', rows)
    await requireSameTokenizers(fails('unsupported'), fails('unsupported'), 'the package', rows)
    await expect(
      requireSameTokenizers(has(plain), has(changed({}, { chat_template: 'x' })), 'the package', rows),
    ).rejects.toThrow('the package cannot hold this tokenizer: the chat template')
    await expect(requireSameTokenizers(has(plain), fails('not-found'), 'the package', rows)).rejects.toThrow(
      'the package has lost its tokenizer',
    )
  })
})
