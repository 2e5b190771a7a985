import { ReallmError } from '@reallm/tensor-io'
import type { ChatMessage } from '@reallm/transformer'

/** One thing to learn from: a text, an answer to a prompt, or the assistant's part of a conversation. */
export type Example =
  | { readonly text: string }
  | { readonly prompt: string; readonly completion: string }
  | { readonly messages: readonly ChatMessage[] }

/**
 * Reads examples: one JSON object per line (`{"text"}`, `{"prompt","completion"}` or `{"messages"}`), or, when the
 * first line is no JSON object, the whole as one text.
 *
 * @param name what errors call the data
 * @throws `bad-file` naming the line that does not fit
 * @example
 * parseExamples('{"prompt": "2 + 2 =", "completion": " 4"}\n', 'sums.jsonl')
 */
export function parseExamples(contents: string, name: string): Example[] {
  const lines = contents.split('\n')
  const numbered = lines.map((line, i) => ({ line: line.trim(), number: i + 1 })).filter(l => l.line !== '')
  if (numbered.length === 0) throw new ReallmError('bad-file', `${name} is empty`)
  if (!isJsonLines(numbered[0].line, name)) return [{ text: contents }]
  return numbered.map(({ line, number }) => exampleOf(line, `${name}, line ${number}`))
}

function isJsonLines(first: string, name: string): boolean {
  return name.endsWith('.jsonl') || (first.startsWith('{') && first.endsWith('}'))
}

function exampleOf(line: string, where: string): Example {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new ReallmError('bad-file', `${where} is not JSON`, { cause })
  }
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const { text, prompt, completion, messages } = given
  if (typeof text === 'string') return { text }
  if (typeof prompt === 'string' && typeof completion === 'string') return { prompt, completion }
  if (Array.isArray(messages) && messages.every(isMessage)) {
    if (messages.some(m => m.role === 'assistant')) return { messages }
    throw new ReallmError('bad-file', `${where}: no message is the assistant's, so there is nothing to learn`)
  }
  throw new ReallmError('bad-file', `${where} has neither text, nor prompt and completion, nor messages`, {
    hint: 'write {"text": …}, {"prompt": …, "completion": …} or {"messages": [{"role": …, "content": …}]}',
  })
}

function isMessage(m: unknown): m is ChatMessage {
  const { role, content } = (m ?? {}) as Record<string, unknown>
  return typeof role === 'string' && typeof content === 'string'
}
