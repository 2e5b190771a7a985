import { Tokenizer } from '@huggingface/tokenizers'
import { expect, test } from 'vitest'
import { pieces, tokenizerJson, trainBpe } from './bpe.ts'

const specials = ['<|endoftext|>']
const text =
  'the whale, the white whale; 1851 – and the sea rolled on as it rolled five thousand years ago. '.repeat(5)

test('a learned vocabulary round-trips any text through @huggingface/tokenizers', () => {
  const vocabulary = trainBpe([text], 300, specials)
  expect(vocabulary.tokens.size).toBe(300)
  const tokenizer = new Tokenizer(tokenizerJson(vocabulary, specials), {})
  for (const sample of [text, "Ünseen wörds — don't 1234 \n\n  fail 🐋", ' leading']) {
    const { ids } = tokenizer.encode(sample)
    expect(tokenizer.decode(ids)).toBe(sample)
  }
  expect(tokenizer.encode(' the whale').tokens).toEqual(['Ġthe', 'Ġwhale'])
})

test('digits stay single and words keep their leading space', () => {
  expect(pieces('in 1851, the')).toEqual(['in', ' ', '1', '8', '5', '1', ',', ' the'])
})

test('the same text gives the same vocabulary, too little text is refused', () => {
  expect(trainBpe([text], 290, specials)).toEqual(trainBpe([text], 290, specials))
  expect(() => trainBpe(['abc'], 300, specials)).toThrow(/too few repeated pairs/)
})
