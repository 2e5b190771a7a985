import { type ByteSource, breather, type LongWork, ReallmError, random, seedFor } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import { type Window, windowsOf } from '../batches.ts'
import { openData, type Piece } from './examples.ts'
import { joined, type Tokens, tokenise, tokeniseText } from './tokenise.ts'

export interface WindowOptions {
  /** Tokens predicted per window. */
  readonly length: number
  readonly seed: number
  /** Examples one after another in every window (default), or one example per window, cut at its length. */
  readonly packing?: boolean
  /** Part kept for validation; default 0.05, and at least one window. 0 keeps none. */
  readonly validation?: number
}

export interface DataOptions extends WindowOptions, LongWork {
  /** Windows that are wanted: of data that fill many more, parts spread evenly over them are taken. Default: all. */
  readonly wanted?: number
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
 * Progress: `data-read` (characters of what is taken).
 *
 * @throws `bad-file` naming the line that does not fit; `bad-option` when there is too little for one window of each
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
  if (data.kind === 'text') return splitWindows([await tokeniseText(texts(taken()), tokenizer)], options)
  const sequences: Tokens[] = []
  for await (const piece of taken()) {
    const { ids, weights } = tokenise(piece.example(), tokenizer)
    const end = packing ? ids.length : length + 1
    sequences.push({ ids: ids.slice(0, end), weights: weights.slice(0, end) })
  }
  return splitWindows(sequences, options)
}

async function* texts(pieces: AsyncGenerator<Piece>): AsyncGenerator<string> {
  for await (const piece of pieces) {
    const example = piece.example()
    if ('text' in example) yield example.text
  }
}

/** Sequences as windows: whole sequences are kept for validation; of a single one, its last windows. */
function splitWindows(sequences: readonly Tokens[], options: WindowOptions): SplitWindows {
  const { seed, validation = 0.05 } = options
  const kept = (n: number) => (validation === 0 ? 0 : Math.max(1, Math.round(n * validation)))
  if (sequences.length === 1) {
    const windows = cut(sequences, options)
    const tail = kept(windows.length)
    if (windows.length <= tail) throw tooLittle(windows.length)
    return {
      train: windows.slice(0, windows.length - tail),
      validation: windows.slice(windows.length - tail),
    }
  }
  const order = shuffle(sequences, seedFor(seed, 'split'))
  const heldOut = kept(order.length)
  return {
    train: cut(order.slice(heldOut), options),
    validation: heldOut === 0 ? [] : cut(order.slice(0, heldOut), options),
  }
}

function cut(sequences: readonly Tokens[], { length, packing = true }: WindowOptions): Window[] {
  if (!packing) return sequences.filter(({ weights }) => weights.subarray(1).some(weight => weight > 0))
  const { ids, weights } = joined(sequences)
  const size = Math.min(length, ids.length - 1)
  return windowsOf(ids, size).map((window, i) => ({
    ids: window.ids,
    weights: weights.subarray(i * size, (i + 1) * size + 1),
  }))
}

function shuffle<T>(items: readonly T[], seed: number): T[] {
  const rng = random(seed)
  return items
    .map(item => ({ item, key: rng.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

const tooLittle = (windows: number) =>
  new ReallmError(
    'bad-option',
    `the data fill only ${windows} window, too little to keep one for validation`,
    {
      hint: 'give more text, a shorter window, or validation: 0',
    },
  )
