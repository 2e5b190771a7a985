import { ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, TextTokenizer } from '@reallm/transformer'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import { awkwardTexts } from './awkward-texts.ts'

interface AddedToken {
  readonly id: number
  readonly content: string
}

const conversations: readonly (readonly ChatMessage[])[] = [
  [{ role: 'user', content: 'Hi' }],
  [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: ' 1 + 1? ' },
    { role: 'assistant', content: '2' },
    { role: 'user', content: 'Sure?' },
  ],
]

/** Tokens of the vocabulary whose texts are compared too, spread evenly. */
const sampled = 512

/**
 * Refuses a tokenizer that does not do what another one does: ids and texts of awkward strings, with and without what
 * goes around a text, added tokens within texts, a sample of the vocabulary, conversations, ends of texts.
 *
 * @param form what it was put in: `GGUF`
 * @param rows of the embedding; tokens beyond it are not compared
 * @throws `unsupported` naming the first text that differs, with both results
 */
export function requireSameTokenizer(
  original: TextTokenizer,
  found: TextTokenizer,
  form: string,
  rows: number,
): void {
  const mustAgree = (what: string, wanted: unknown, got: unknown) => {
    const [a, b] = [JSON.stringify(wanted), JSON.stringify(got)]
    if (a === b) return
    throw new ReallmError(
      'unsupported',
      `${form} cannot hold this tokenizer: ${what} gives ${a}, it would give ${b}`,
      {
        hint:
          form === 'GGUF' ? 'convert to safetensors instead' : 'the tokenizer files of the model are damaged',
      },
    )
  }
  for (const text of textsOf(original, rows)) {
    for (const special of [false, true]) {
      const ids = original.encode(text, { special })
      mustAgree(JSON.stringify(text), ids, found.encode(text, { special }))
      mustAgree(`[${ids}]`, original.decode(ids, { special }), found.decode(ids, { special }))
    }
  }
  for (const messages of conversations) {
    for (const answer of [true, false]) {
      mustAgree('the chat template', chat(original, messages, answer), chat(found, messages, answer))
    }
  }
  mustAgree('the list of chat templates', original.chatTemplates, found.chatTemplates)
  mustAgree('the ends of texts', [...original.eos].sort(), [...found.eos].sort())
}

/**
 * The same for the tokenizers of a model and of what was made of it, where there is one that runs here.
 *
 * @throws `unsupported` when the tokenizer is missing, or as `requireSameTokenizer` does
 */
export async function requireSameTokenizers(
  original: { tokenizer(): Promise<TextTokenizer> },
  made: { tokenizer(): Promise<TextTokenizer> },
  form: string,
  rows: number,
): Promise<void> {
  const wanted = await tokenizerOf(original).catch((error: unknown) => {
    if (error instanceof ReallmError && error.code === 'unsupported') return undefined
    throw error
  })
  if (!wanted) return
  const got = await tokenizerOf(made)
  if (got) requireSameTokenizer(wanted, got, form, rows)
  else {
    throw new ReallmError('unsupported', `${form} has lost its tokenizer`, {
      hint: 'put the tokenizer.json of the model beside its weights',
    })
  }
}

/** Ids by token, or, of a Unigram, pieces with their scores. */
type Vocabulary = Readonly<Record<string, number>> | readonly (readonly [string, number])[]

function* textsOf(tokenizer: TextTokenizer, rows: number): Generator<string> {
  yield* awkwardTexts
  const added = ((tokenizer.files.tokenizer.added_tokens ?? []) as readonly AddedToken[]).filter(
    t => t.id < rows,
  )
  for (const { content } of kindsOf(added)) {
    for (const text of [content, `a${content}b`, `a ${content} b`, `${content}\n ${content}`]) yield text
  }
  const { vocab = {} } = tokenizer.files.tokenizer.model as { vocab?: Vocabulary }
  const ids = Array.isArray(vocab) ? [...vocab.keys()] : Object.values(vocab as Record<string, number>)
  for (let k = 0; k < ids.length; k += Math.ceil(ids.length / sampled)) {
    yield tokenizer.decode([ids[k]], { special: true })
  }
}

/** The first and the last added token of every kind: special or not, with what is stripped around it. */
function kindsOf(added: readonly AddedToken[]): Iterable<AddedToken> {
  const kinds = new Map<string, [AddedToken, AddedToken]>()
  for (const token of added) {
    const { id: _, content: __, ...kind } = token
    const key = JSON.stringify(kind)
    kinds.set(key, [kinds.get(key)?.[0] ?? token, token])
  }
  return new Set([...kinds.values()].flat())
}

/** What a template makes of a conversation; where it refuses one, what it says, without the name of its file. */
function chat(tokenizer: TextTokenizer, messages: readonly ChatMessage[], answer: boolean): string {
  try {
    return tokenizer.chat(messages, { answer })
  } catch (error) {
    return (error as Error).message.replace(/^.*?: (?=the chat template )/s, '')
  }
}
