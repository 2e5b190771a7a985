import { ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, TextTokenizer } from '@reallm/transformer'
import type { Example } from './examples.ts'

interface Segment {
  readonly text: string
  /** Whether its tokens are to be learned. */
  readonly learned: boolean
}

/** A sequence of tokens, and which of them are to be learned (1, else 0). */
export interface Tokens {
  readonly ids: Int32Array
  readonly weights: Uint8Array
}

/**
 * An example as token ids. Prompts and everything that is not the assistant's carry weight 0; a text or a completion
 * ends with the tokenizer's first end token, a conversation as its template ends it.
 *
 * @throws `unsupported` for conversations when the tokenizer has no chat template
 */
export function tokenise(example: Example, tokenizer: TextTokenizer): Tokens {
  const parts = segmentsOf(example, tokenizer).map(({ text, learned }, i) =>
    alike(tokenizer.encode(text, { special: i === 0 && !('messages' in example) }), learned),
  )
  return joined('messages' in example ? parts : [...parts, end(tokenizer)])
}

/** The stretches of one text as `tokenise` would have the whole. */
export async function tokeniseText(
  stretches: AsyncIterable<string>,
  tokenizer: TextTokenizer,
): Promise<Tokens> {
  const before = tokenizer.encode(WORD).length
  const parts: Tokens[] = []
  for await (const text of stretches) {
    const ids =
      parts.length === 0
        ? tokenizer.encode(text, { special: true })
        : tokenizer.encode(WORD + text).slice(before)
    parts.push(alike(ids, true))
  }
  return joined([...parts, end(tokenizer)])
}

/** Stands for the text before a stretch: some tokenizers treat the start of a text differently. */
const WORD = 'a'

const alike = (ids: readonly number[], learned: boolean): Tokens => ({
  ids: Int32Array.from(ids),
  weights: new Uint8Array(ids.length).fill(learned ? 1 : 0),
})

const end = ({ eos }: TextTokenizer): Tokens => alike(eos.slice(0, 1), true)

/** Tokens one after another. */
export function joined(parts: readonly Tokens[]): Tokens {
  const length = parts.reduce((sum, { ids }) => sum + ids.length, 0)
  const [ids, weights] = [new Int32Array(length), new Uint8Array(length)]
  let at = 0
  for (const part of parts) {
    ids.set(part.ids, at)
    weights.set(part.weights, at)
    at += part.ids.length
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
