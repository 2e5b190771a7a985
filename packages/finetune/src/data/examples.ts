import { type ByteSource, ReallmError } from '@reallm/tensor-io'
import type { ChatMessage } from '@reallm/transformer'
import { linesOf, stretchesOf, textBlocks } from './text-blocks.ts'

/** One thing to learn from: a text, an answer to a prompt, or the assistant's part of a conversation. */
export type Example =
  | { readonly text: string }
  | { readonly prompt: string; readonly completion: string }
  | { readonly messages: readonly ChatMessage[] }

/** A part of a data file that is tokenised on its own. */
export interface Piece {
  /** Its length in the file. */
  readonly characters: number
  /** File and line, for messages. */
  readonly where: string
  /** @throws `bad-file` naming the line that does not fit */
  example(): Example
}

/** A data file that is read in pieces, as often as wanted. */
export interface DataFile {
  /** One text in stretches, or examples that have nothing to do with each other. */
  readonly kind: 'text' | 'examples'
  pieces(): AsyncGenerator<Piece>
}

/**
 * Opens data: one JSON object per line (`{"text"}`, `{"prompt","completion"}` or `{"messages"}`), or, when the first line
 * is no JSON object, one text. Holds 64 kB of it, or the longest line.
 *
 * @throws `bad-file` when there is nothing in it, no UTF-8, or JSON that is not one object per line
 * @example
 * const data = await openData(await openFileSource('sums.jsonl')) // {"prompt": "2 + 2 =", "completion": " 4"}
 * for await (const piece of data.pieces()) console.log(piece.example())
 */
export async function openData(source: ByteSource): Promise<DataFile> {
  const first = await firstLine(source)
  if (first === undefined) throw new ReallmError('bad-file', `${source.name} is empty`)
  const named = source.name.endsWith('.jsonl')
  const whole = first.startsWith('{') && first.endsWith('}')
  if (!whole && startsJson.test(first) && (named || (await endsJson(source)))) {
    const what = first.startsWith('[') ? 'a JSON array' : 'one JSON object over several lines'
    throw new ReallmError('bad-file', `${source.name} is ${what}, not one JSON object per line`, {
      hint: `jq -c ${first.startsWith('[') ? "'.[]'" : '.'} FILE > NEW.jsonl`,
    })
  }
  if (!named && !whole) return { kind: 'text', pieces: () => stretches(source) }
  return { kind: 'examples', pieces: () => lines(source) }
}

/** The first line of a JSON array of objects, arrays or texts, or of an object, that goes on in the next line. */
const startsJson = /^(\[\s*([{["]|$)|\{\s*("|$))/

async function endsJson(source: ByteSource): Promise<boolean> {
  const bytes = await source.read(Math.max(0, source.size - 256), source.size)
  return /[\]}]\s*$/.test(String.fromCharCode(...bytes))
}

/** The first line that is not blank, as far as its block goes. */
async function firstLine(source: ByteSource): Promise<string | undefined> {
  for await (const { text } of textBlocks(source)) {
    const line = text.trimStart().split('\n', 1)[0].trimEnd()
    if (line !== '') return line
  }
  return undefined
}

async function* stretches(source: ByteSource): AsyncGenerator<Piece> {
  for await (const text of stretchesOf(source)) {
    yield { characters: text.length, where: source.name, example: () => ({ text }) }
  }
}

async function* lines(source: ByteSource): AsyncGenerator<Piece> {
  for await (const { text, line } of linesOf(source)) {
    const where = `${source.name}, line ${line}`
    yield { characters: text.length, where, example: () => exampleOf(text, where) }
  }
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
