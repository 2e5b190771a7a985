import { expect, test } from 'vitest'
import { charTokenizer as tokenizer } from '../../test/char-tokenizer.ts'
import { parseExamples, splitWindows, tokenise } from './index.ts'

const learned = (window: ReturnType<typeof tokenise>) =>
  tokenizer.decode(
    Array.from(window.ids).filter((_, i) => window.weights![i] === 1),
    { special: true },
  )

test('JSON lines of all three kinds are read; a text file is one text', () => {
  const lines = [
    '{"text": "a"}',
    '{"prompt": "p", "completion": "c"}',
    '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}',
  ]
  expect(parseExamples(`${lines.join('\n\n')}\n`, 'x').map(e => Object.keys(e)[0])).toEqual([
    'text',
    'prompt',
    'messages',
  ])
  expect(parseExamples('Call me\nIshmael.', 'x')).toEqual([{ text: 'Call me\nIshmael.' }])
})

test('a line that does not fit is named', () => {
  expect(() => parseExamples('{"text": "a"}\n{"txt": 1}', 'd.jsonl')).toThrow(
    /d\.jsonl, line 2 has neither text/,
  )
  expect(() => parseExamples('{"text": "a"}\n{oops', 'd.jsonl')).toThrow(/line 2 is not JSON/)
  expect(() => parseExamples('{"messages": [{"role": "user", "content": "u"}]}', 'd')).toThrow(
    /nothing to learn/,
  )
  expect(() => parseExamples(' \n', 'd')).toThrow(/d is empty/)
})

test('the loss is on completions and on what the assistant says, ends included', () => {
  expect(learned(tokenise({ prompt: 'one ', completion: 'two' }, tokenizer))).toBe('two<end>')
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'ho' },
    { role: 'user', content: 'hm' },
    { role: 'assistant', content: 'ha' },
  ]
  const window = tokenise({ messages }, tokenizer)
  expect(learned(window)).toBe('ho<end>ha<end>')
  expect(tokenizer.decode(Array.from(window.ids), { special: true })).toBe(
    tokenizer.chat(messages, { answer: false }),
  )
})

test('packing fills windows, without it every example has its own; validation examples stay apart', () => {
  const examples = Array.from({ length: 40 }, (_, i) => ({ prompt: `p${i}`, completion: `c${i}` }))
  const packed = splitWindows(examples, tokenizer, { length: 20, seed: 1, validation: 0.1 })
  expect(packed.train.every(w => w.ids.length === 21 && w.weights!.length === 21)).toBe(true)
  const single = splitWindows(examples, tokenizer, { length: 20, seed: 1, validation: 0.1, packing: false })
  expect([single.train.length, single.validation.length]).toEqual([36, 4])
  const texts = [...single.train, ...single.validation].map(w => tokenizer.decode(Array.from(w.ids)))
  expect(new Set(texts).size).toBe(40)
})

test('of one text the last windows validate; too little text is refused', () => {
  const text = 'abcdefghij'.repeat(21)
  const { train, validation } = splitWindows([{ text }], tokenizer, { length: 10, seed: 1, validation: 0.2 })
  expect([train.length, validation.length]).toEqual([17, 4])
  expect(() => splitWindows([{ text: 'short' }], tokenizer, { length: 10, seed: 1 })).toThrow(/too little/)
})
