import { type ByteSource, breather, type LongWork, ReallmError, random, seedFor } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import { type Window, windowsOf } from '../batches.ts'
import { openData, type Piece } from './examples.ts'
import { firstLearned, shortenPrompt } from './shorten.ts'
import { joined, type Tokens, tokenise, tokeniseText } from './tokenise.ts'

export interface WindowOptions {
  /** Tokens predicted per window. */
  readonly length: number
  readonly seed: number
  /** Examples one after another in every window (default), or one example per window, cut at its length. */
  readonly packing?: boolean | undefined
  /** Part kept for validation; default 0.05, and at least one window. 0 keeps none. */
  readonly validation?: number | undefined
}

export interface DataOptions extends WindowOptions, LongWork {
  /** Windows that are wanted: of data that fill many more, parts spread evenly over them are taken. Default: all. */
  readonly wanted?: number | undefined
}

export interface SplitWindows {
  readonly train: readonly Window[]
  readonly validation: readonly Window[]
}

/** Characters that a token has at most, on average over a text. */
const CHARACTERS_PER_TOKEN = 16
/** Data of no more characters than this are always taken whole. */
const SMALL = 1 << 21

/**
 * A data file (see `openData`) as windows, split into training and validation: whole examples, drawn by the seed; of a
 * single text, its last windows. The file is read in pieces, twice, and held are only the tokens of what is taken.
 * Examples and windows without a token to learn are left out, prompts that fill a window are shortened from their front.
 * Progress: `data-read` (characters of what is taken); `examples-empty` and `prompts-shortened` (name = the first one's
 * file and line, done = their number, total = all examples).
 *
 * @throws `bad-file` naming the line that does not fit; `bad-option` when there is too little for one window of each, or
 *   nothing to learn in any example, naming the first
 * @example
 * const { train } = await readWindows(await openFileSource('mine.jsonl'), tokenizer, { length: 256, seed: 0 })
 */
export async function readWindows(
  source: ByteSource,
  tokenizer: TextTokenizer,
  options: DataOptions,
): Promise<SplitWindows> {
  const { length, packing = true, validation = 0.05, wanted = Number.POSITIVE_INFINITY } = options
  const data = await openData(source)
  const breathe = breather(options)
  const most = packing ? Number.POSITIVE_INFINITY : (length + 1) * CHARACTERS_PER_TOKEN
  let characters = 0
  for await (const piece of data.pieces()) {
    await breathe()
    piece.example()
    characters += Math.min(most, piece.characters)
  }
  const enough = Math.max(SMALL, (wanted / (1 - validation)) * length * CHARACTERS_PER_TOKEN)
  const share = Math.min(1, enough / characters)

  async function* taken(): AsyncGenerator<Piece> {
    let [number, done] = [0, 0]
    const total = Math.round(share * characters)
    for await (const piece of data.pieces()) {
      await breathe()
      const isTaken = Math.ceil((number + 1) * share) > Math.ceil(number * share)
      number++
      if (!isTaken) continue
      yield piece
      done += Math.min(most, piece.characters)
      options.onProgress?.({ event: 'data-read', done: Math.min(done, total), total })
    }
  }
  if (data.kind === 'text') {
    const text = await tokeniseText(texts(taken()), tokenizer)
    return splitWindows(source.name, [text], options)
  }
  const sequences: Tokens[] = []
  let [nothing, shortened]: (string | undefined)[] = []
  let [number, cut] = [0, 0]
  for await (const piece of taken()) {
    number++
    const whole = tokenise(piece.example(), tokenizer)
    if (firstLearned(whole.weights) < 0) {
      nothing ??= piece.where
      continue
    }
    const { ids, weights } = shortenPrompt(whole, length)
    if (ids !== whole.ids) {
      cut++
      shortened ??= `${piece.where}, whose prompt fills the window of ${length} tokens (${whole.ids.length - 1} hold it)`
    }
    const end = packing ? ids.length : length + 1
    sequences.push({ ids: ids.slice(0, end), weights: weights.slice(0, end) })
  }
  if (sequences.length === 0) throw nothingToLearn(nothing ?? source.name)
  const tell = (event: string, done: number, name: string | undefined) => {
    if (name !== undefined) options.onProgress?.({ event, name, done, total: number })
  }
  tell('examples-empty', number - sequences.length, nothing)
  tell('prompts-shortened', cut, shortened)
  return splitWindows(source.name, sequences, options)
}

async function* texts(pieces: AsyncGenerator<Piece>): AsyncGenerator<string> {
  for await (const piece of pieces) {
    const example = piece.example()
    if ('text' in example) yield example.text
  }
}

/** Sequences as windows: whole sequences are kept for validation; of a single one, its last windows. */
function splitWindows(name: string, sequences: readonly Tokens[], options: WindowOptions): SplitWindows {
  const { seed, validation = 0.05 } = options
  const kept = (n: number) => (validation === 0 ? 0 : Math.max(1, Math.round(n * validation)))
  if (sequences.length === 1) {
    const windows = cut(sequences, options)
    const tail = kept(windows.length)
    if (windows.length <= tail) throw tooLittle(name, windows.length)
    return {
      train: windows.slice(0, windows.length - tail),
      validation: windows.slice(windows.length - tail),
    }
  }
  const order = shuffle(sequences, seedFor(seed, 'split'))
  const heldOut = kept(order.length)
  return { train: cut(order.slice(heldOut), options), validation: cut(order.slice(0, heldOut), options) }
}

/** Windows of sequences; those without a token to learn are left out. */
function cut(sequences: readonly Tokens[], { length, packing = true }: WindowOptions): Window[] {
  if (!packing) return [...sequences]
  const { ids, weights } = joined(sequences)
  if (ids.length < 2) return []
  const size = Math.min(length, ids.length - 1)
  return windowsOf(ids, size).flatMap((window, i) => {
    const own = weights.subarray(i * size, (i + 1) * size + 1)
    return firstLearned(own) > 0 ? [{ ids: window.ids, weights: own }] : []
  })
}

function shuffle<T>(items: readonly T[], seed: number): T[] {
  const rng = random(seed)
  return items
    .map(item => ({ item, key: rng.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

const nothingToLearn = (first: string) =>
  new ReallmError('bad-option', `${first} has nothing to learn, and no example has`, {
    hint: 'give examples with a text, a completion or an answer',
  })

const tooLittle = (name: string, windows: number) =>
  new ReallmError('bad-option', `${name} fills ${windows} windows, too little to keep one for validation`, {
    hint: 'give more text, a shorter window (--length), or keep nothing for validation (--validation 0)',
  })
