import { type ByteSource, breather, type LongWork, ReallmError, random, seedFor } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import { type Sequence, sequencesOf } from '../batches.ts'
import { openData, type Piece } from './examples.ts'
import { firstLearned, shortenPrompt } from './shorten.ts'
import { joined, type Tokens, tokenise, tokeniseText } from './tokenise.ts'

/** How texts are cut into sequences. */
export interface SequenceOptions {
  /** Tokens predicted per sequence. */
  readonly length: number
  readonly seed: number
  /** Examples one after another in every sequence (default), or one example per sequence, cut at its length. */
  readonly packing?: boolean | undefined
  /** Part kept for validation; default 0.05, and at least one sequence. 0 keeps none. */
  readonly validation?: number | undefined
}

/** Options of reading training data. */
export interface DataOptions extends SequenceOptions, LongWork {
  /** Sequences that are wanted: of larger data, parts spread evenly over them are used. Default: all. */
  readonly wanted?: number | undefined
}

/** Sequences to learn from, and others to validate on. */
export interface SplitSequences {
  readonly train: readonly Sequence[]
  readonly validation: readonly Sequence[]
}

/** Characters that a token has at most, on average over a text. */
const CHARACTERS_PER_TOKEN = 16
/** Data of no more characters than this are always used whole. */
const SMALL = 1 << 21

/**
 * A data file (see `openData`) as sequences, split into training and validation: whole examples, drawn by the seed; of a
 * single text, its last sequences. The file is read twice, in pieces; only the tokens of the parts that are used are kept.
 * Examples and sequences without a token to learn are dropped, prompts that fill a sequence are shortened from their start.
 * Progress: `data-read` (characters that are used); `examples-empty` and `prompts-shortened` (name = the first one's
 * file and line, done = their number, total = all examples).
 *
 * @throws `bad-file` naming the line that does not fit; `bad-option` when there is too little for one sequence of each, or
 *   nothing to learn in any example, naming the first
 * @example
 * const { train } = await readSequences(await openFileSource('mine.jsonl'), tokenizer, { length: 256, seed: 0 })
 */
export async function readSequences(
  source: ByteSource,
  tokenizer: TextTokenizer,
  options: DataOptions,
): Promise<SplitSequences> {
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
    return split(source.name, [text], options)
  }
  const examples: Tokens[] = []
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
      shortened ??= `${piece.where}, whose prompt fills the sequence of ${length} tokens (${whole.ids.length - 1} hold it)`
    }
    const end = packing ? ids.length : length + 1
    examples.push({ ids: ids.slice(0, end), weights: weights.slice(0, end) })
  }
  if (examples.length === 0) throw nothingToLearn(nothing ?? source.name)
  const tell = (event: string, done: number, name: string | undefined) => {
    if (name !== undefined) options.onProgress?.({ event, name, done, total: number })
  }
  tell('examples-empty', number - examples.length, nothing)
  tell('prompts-shortened', cut, shortened)
  return split(source.name, examples, options)
}

async function* texts(pieces: AsyncGenerator<Piece>): AsyncGenerator<string> {
  for await (const piece of pieces) {
    const example = piece.example()
    if ('text' in example) yield example.text
  }
}

/** Sequences as sequences: whole examples are kept for validation; of a single one, its last sequences. */
function split(name: string, examples: readonly Tokens[], options: SequenceOptions): SplitSequences {
  const { seed, validation = 0.05 } = options
  const kept = (n: number) => (validation === 0 ? 0 : Math.max(1, Math.round(n * validation)))
  if (examples.length === 1) {
    const sequences = cut(examples, options)
    const tail = kept(sequences.length)
    if (sequences.length <= tail) throw tooLittle(name, sequences.length)
    return {
      train: sequences.slice(0, sequences.length - tail),
      validation: sequences.slice(sequences.length - tail),
    }
  }
  const order = shuffle(examples, seedFor(seed, 'split'))
  const first = kept(order.length)
  return { train: cut(order.slice(first), options), validation: cut(order.slice(0, first), options) }
}

/** The sequences of examples, except those without a token to learn. */
function cut(examples: readonly Tokens[], { length, packing = true }: SequenceOptions): Sequence[] {
  if (!packing) return [...examples]
  const { ids, weights } = joined(examples)
  if (ids.length < 2) return []
  const size = Math.min(length, ids.length - 1)
  return sequencesOf(ids, size).flatMap((sequence, i) => {
    const own = weights.subarray(i * size, (i + 1) * size + 1)
    return firstLearned(own) > 0 ? [{ ids: sequence.ids, weights: own }] : []
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

const tooLittle = (name: string, sequences: number) =>
  new ReallmError(
    'bad-option',
    `${name} fills ${sequences} sequences, too little to keep one for validation`,
    {
      hint: 'give more text, a shorter sequence (--length), or keep nothing for validation (--validation 0)',
    },
  )
