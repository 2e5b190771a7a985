import { describe, expect, it } from 'vitest'
import golden from '../../../test/fixtures/chat-templates.json' with { type: 'json' }
import type { ModelFiles } from '../../formats/model-files.ts'
import { chatTemplatesOf } from './chat-templates.ts'
import { type ChatMessage, type ChatTool, createTokenizer } from './create-tokenizer.ts'
import { openTokenizer } from './open-tokenizer.ts'

const tokenizerWith = (chat_template: unknown) =>
  createTokenizer({
    tokenizer: { model: { type: 'BPE', vocab: { '<s>': 0, '</s>': 1, '<pad>': 2, a: 3 }, merges: [] } },
    config: { ...golden.special, chat_template },
  })
const conversations: Readonly<Record<string, object[]>> = golden.conversations

describe('templates in the shapes that models have give what transformers gives', () => {
  const cases = Object.entries(golden.templates).flatMap(([shape, { template, results }]) =>
    Object.entries(results).map(([conversation, texts]) => ({ shape, template, conversation, texts })),
  )
  it.each(cases)('$shape: $conversation', ({ template, conversation, texts }) => {
    const tokenizer = tokenizerWith(template)
    for (const [i, options] of golden.options.entries()) {
      const { add_generation_prompt: answer = false, tools, documents, ...variables } = options
      const chat = () =>
        tokenizer.chat(conversations[conversation] as ChatMessage[], {
          answer,
          tools: tools as ChatTool[] | undefined,
          documents,
          variables,
        })
      const want = texts[i] as { text?: string; error?: string }
      if (want.text === undefined) expect(chat).toThrow()
      else expect(chat()).toBe(want.text)
    }
  })
})

describe('several templates', () => {
  const list = [
    { name: 'rag', template: 'rag {{ documents | length }}' },
    { name: 'default', template: 'plain {{ enable_thinking }}' },
    { name: 'tool_use', template: 'tools {{ tools | length }}' },
  ]
  const tool = { type: 'function', function: { name: 'now' } } as const

  it('are chosen by name, by what is asked, or the default', () => {
    const tokenizer = tokenizerWith(list)
    expect(tokenizer.chatTemplates).toEqual(['default', 'rag', 'tool_use'])
    expect(tokenizer.chat([], { variables: { enable_thinking: false } })).toBe('plain false')
    expect(tokenizer.chat([], { tools: [tool] })).toBe('tools 1')
    expect(tokenizer.chat([], { template: 'rag', tools: [tool], documents: [{}, {}] })).toBe('rag 2')
    expect(() => tokenizer.chat([], { template: 'nothing' })).toThrow(
      expect.objectContaining({ code: 'bad-option', hint: 'there is: default, rag, tool_use' }),
    )
  })

  it('the first is the default where none is called so; variables do not replace messages', () => {
    expect(chatTemplatesOf(list.slice(0, 1), () => 'x').names).toEqual(['default'])
    const tokenizer = tokenizerWith('{{ messages | length }}{{ bos_token }}{{ tools is none }}')
    expect(tokenizer.chat([], { variables: { messages: 'no', bos_token: '!' } })).toBe('0!true')
  })
})

describe('a broken template', () => {
  const broken = '{% if %}'
  it.each([
    ['tokenizer_config.json', JSON.stringify({ chat_template: broken }), undefined],
    ['chat_template.jinja', broken, undefined],
    ['additional_chat_templates/rag.jinja', broken, 'rag'],
  ])('is named by its file: %s', async (file, contents, template) => {
    const { model } = tokenizerWith('').files.tokenizer
    const texts: Record<string, string> = {
      'tokenizer.json': JSON.stringify({ model }),
      'chat_template.jinja': 'good',
      [file]: contents,
    }
    if (file === 'tokenizer_config.json') delete texts['chat_template.jinja']
    const files: Partial<ModelFiles> = {
      ...{ kind: 'huggingface', spec: 'dir', config: {}, files: Object.keys(texts) },
      readFile: async name => new TextEncoder().encode(texts[name]),
    }
    const tokenizer = await openTokenizer(files as ModelFiles)
    expect(() => tokenizer.chat([], { template })).toThrow(`dir: ${file}: the chat template cannot be used`)
  })
})
