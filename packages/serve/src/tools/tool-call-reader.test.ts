import { describe, expect, it } from 'vitest'
import { ToolCallReader } from './tool-call-reader.ts'

/** Reads an answer in pieces of so many characters. */
function read(answer: string, size: number, cut = false) {
  const reader = new ToolCallReader(['add', 'now'])
  let shown = ''
  for (let at = 0; at < answer.length; at += size) shown += reader.push(answer.slice(at, at + size))
  const { text, calls } = reader.end(cut)
  return { said: shown + text, calls }
}

const add = { name: 'add', arguments: '{"a":1,"b":"x</tool_call"}' }
const json = '{"name": "add", "arguments": {"a": 1, "b": "x</tool_call"}}'
const llama = json.replace('arguments', 'parameters')

describe.each([1, 3, 1000])('calls in an answer that comes %i characters at a time', size => {
  it.each([
    ['Hermes, Qwen', `I add.\n<tool_call>\n${json}\n</tool_call>`, 'I add.\n', [add]],
    [
      'several',
      `<tool_call>${json}</tool_call>\n<tool_call>{"name": "now", "arguments": {}}</tool_call>`,
      '',
      [add, { name: 'now', arguments: '{}' }],
    ],
    ['without an end', `<tool_call>${json}`, '', [add]],
    ['Llama 3', llama, '', [add]],
    ['Llama 3, several', `${llama}; ${llama}`, '', [add, add]],
    ['Mistral', ` [${json}]`, '', [add]],
    [
      'arguments as text',
      '{"name": "now", "arguments": "{\\"in\\": 1}"}',
      '',
      [{ name: 'now', arguments: '{"in": 1}' }],
    ],
  ])('%s', (_, answer, said, calls) => expect(read(answer, size)).toEqual({ said, calls }))

  it.each([
    'No call: 1 < 2 <tool> and <tool_cal',
    '{"name": "other", "arguments": {}}',
    '{"name": "add"}',
    '{"a": 1}; then {',
    '[1, 2]',
    '[]',
    '  ',
    '<tool_call>add(1)</tool_call>',
  ])('%j is text', answer => expect(read(answer, size)).toEqual({ said: answer, calls: [] }))
})

describe.each([1, 1000])('an answer that is cut, %i characters at a time', size => {
  it.each([
    ['{"name": "add", "arguments": {"a": 1, "b', '', [{ name: 'add', arguments: '{"a": 1, "b' }]],
    ['{"name": "add", "parameters": ', '', [{ name: 'add', arguments: '' }]],
    [`${llama}; {"name": "now", "arguments": {`, '', [add, { name: 'now', arguments: '{' }]],
    [
      `I add. <tool_call>${json}</tool_call><tool_call>{"name": "add", "arguments": {"a"`,
      'I add. ',
      [add, { name: 'add', arguments: '{"a"' }],
    ],
    [` [{"name": "add", "arguments": {"a": [{"b`, '', [{ name: 'add', arguments: '{"a": [{"b' }]],
    [`[${json}, {"name": "now", "arguments": {"a": 1`, '', [add, { name: 'now', arguments: '{"a": 1' }]],
    [
      `[${json}, {"name": "now", "arguments": {"a": [{}, {`,
      '',
      [add, { name: 'now', arguments: '{"a": [{}, {' }],
    ],
    [`[${json}, `, '', [add]],
    [`[${json}`, '', [add]],
    ['[{"a": 1}, {"name": "add", "arguments": {', '[{"a": 1}, {"name": "add", "arguments": {', []],
    ['[1, 2', '[1, 2', []],
    ['{"name": "other", "arguments": {', '{"name": "other", "arguments": {', []],
    ['{"title": "add', '{"title": "add', []],
  ])('%s', (answer, said, calls) => expect(read(answer, size, true)).toEqual({ said, calls }))
})

describe('an answer', () => {
  it('is shown as soon as it is certain', () => {
    const reader = new ToolCallReader(['add'])
    expect(['Hello', ' <', 'b>', '<tool_call', '>{'].map(piece => reader.push(piece))).toEqual([
      'Hello',
      ' ',
      '<b>',
      '',
      '',
    ])
  })
})
