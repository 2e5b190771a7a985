import { ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, TextTokenizer } from '@reallm/transformer'
import type { Window } from '../batches.ts'
import type { Example } from './examples.ts'

interface Segment {
  readonly text: string
  /** Whether its tokens are to be learned. */
  readonly learned: boolean
}

/**
 * An example as token ids. Prompts and everything that is not the assistant's carry weight 0; a text or a completion
 * ends with the tokenizer's first end token, a conversation as its template ends it.
 *
 * @throws `unsupported` for conversations when the tokenizer has no chat template
 */
export function tokenise(example: Example, tokenizer: TextTokenizer): Window {
  const ids: number[] = []
  const weights: number[] = []
  const segments = segmentsOf(example, tokenizer)
  for (const [i, { text, learned }] of segments.entries()) {
    const wantsBos = i === 0 && !('messages' in example)
    const tokens = tokenizer.encode(text, { special: wantsBos })
    for (const id of tokens) ids.push(id)
    for (let n = 0; n < tokens.length; n++) weights.push(learned ? 1 : 0)
  }
  if (!('messages' in example) && tokenizer.eos.length > 0) {
    ids.push(tokenizer.eos[0])
    weights.push(1)
  }
  return { ids, weights }
}

function segmentsOf(example: Example, tokenizer: TextTokenizer): Segment[] {
  if ('text' in example) return [{ text: example.text, learned: true }]
  if ('prompt' in example) {
    return [
      { text: example.prompt, learned: false },
      { text: example.completion, learned: true },
    ]
  }
  return conversation(example.messages, tokenizer)
}

/** Cuts the rendered conversation where the assistant starts and stops to speak. */
function conversation(messages: readonly ChatMessage[], tokenizer: TextTokenizer): Segment[] {
  const segments: Segment[] = []
  let done = ''
  for (const [i, { role }] of messages.entries()) {
    if (role !== 'assistant') continue
    const before = tokenizer.chat(messages.slice(0, i), { answer: true })
    const after = tokenizer.chat(messages.slice(0, i + 1), { answer: false })
    if (!before.startsWith(done) || !after.startsWith(before)) {
      throw new ReallmError(
        'unsupported',
        "this model's chat template rewrites earlier turns as it goes on",
        {
          hint: 'give conversations of one answer each, or prompt and completion',
        },
      )
    }
    segments.push({ text: before.slice(done.length), learned: false })
    segments.push({ text: after.slice(before.length), learned: true })
    done = after
  }
  return segments
}
