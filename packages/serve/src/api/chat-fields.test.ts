import { describe, expect, it } from 'vitest'
import { type ChatFields, chatFields, messagesOf, toolsOf, variablesOf } from './chat-fields.ts'

const read = (body: object): ChatFields =>
  chatFields.parse({ messages: [{ role: 'user', content: 'Hi' }], ...body })
const tool = (name: string) => ({ type: 'function', function: { name, parameters: { type: 'object' } } })

describe('the body of a chat', () => {
  it('has its messages as templates know them', () => {
    const called = { id: 'a', type: 'function', function: { name: 'now', arguments: '{"in":"Oslo"}' } }
    const messages = [
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Time' },
          { type: 'text', text: '?' },
        ],
      },
      { role: 'assistant', content: null, tool_calls: [called] },
      { role: 'tool', content: '9:00', tool_call_id: 'a' },
    ]
    expect(messagesOf(read({ messages }))).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Time?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ ...called, function: { name: 'now', arguments: { in: 'Oslo' } } }],
      },
      { role: 'tool', content: '9:00', tool_call_id: 'a' },
    ])
    const broken = { ...called, function: { name: 'now', arguments: '{' } }
    const wrong = read({ messages: [{ role: 'assistant', content: '', tool_calls: [broken] }] })
    expect(() => messagesOf(wrong)).toThrow('messages.0.tool_calls.0.function.arguments: it is no JSON')
  })

  it('says which functions may and have to be called', () => {
    const tools = [tool('a'), tool('b')]
    const of = (tool_choice?: unknown) => toolsOf(read({ tools, tool_choice }))
    expect(of()).toEqual({ tools, forced: false })
    expect(of('none')).toEqual({ tools: [], forced: false })
    expect(of('required')).toEqual({ tools, forced: true })
    expect(of({ type: 'function', function: { name: 'b' } })).toEqual({ tools: [tool('b')], forced: true })
    expect(() => of({ type: 'function', function: { name: 'c' } })).toThrow('there is no such function')
  })

  it('has variables of the chat template', () => {
    const fields = read({ chat_template_kwargs: { enable_thinking: false }, reasoning_effort: 'low' })
    expect(variablesOf(fields)).toEqual({ enable_thinking: false, reasoning_effort: 'low' })
    expect(variablesOf(read({}))).toEqual({})
  })
})
