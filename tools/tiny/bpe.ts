/** Byte-level BPE in the way of GPT-2, with digits kept apart as SmolLM2 does. */
export interface Vocabulary {
  /** Token → id, specials first, then the 256 bytes, then the merges in order. */
  readonly tokens: ReadonlyMap<string, number>
  readonly merges: readonly (readonly [string, string])[]
}

const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** The pieces inside which merges may happen, as `Sequence[Digits(individual), ByteLevel]` makes them. */
export function pieces(text: string): string[] {
  return text.split(/(\p{N})/u).flatMap(part => part.match(WORDS) ?? [])
}

/**
 * Learns `size − specials − 256` merges, most frequent pair first; of equally frequent pairs the one with the
 * smaller ids, so that the same text always gives the same vocabulary.
 */
export function trainBpe(texts: readonly string[], size: number, specials: readonly string[]): Vocabulary {
  const alphabet = byteAlphabet()
  const names = [...specials, ...alphabet]
  const words = countWords(texts, specials.length)
  const pairs = new Map<number, { count: number; words: Set<Word> }>()
  const keyOf = (a: number, b: number) => a * size + b

  const add = (word: Word, sign: 1 | -1) => {
    for (let i = 0; i + 1 < word.ids.length; i++) {
      const key = keyOf(word.ids[i], word.ids[i + 1])
      let pair = pairs.get(key)
      if (!pair) pairs.set(key, (pair = { count: 0, words: new Set() }))
      pair.count += sign * word.count
      if (sign > 0) pair.words.add(word)
    }
  }
  for (const word of words) add(word, 1)

  const merges: [string, string][] = []
  while (names.length < size) {
    let best = -1
    let bestCount = 1
    for (const [key, { count }] of pairs) {
      if (count > bestCount || (count === bestCount && key < best)) [best, bestCount] = [key, count]
    }
    if (best < 0) throw new Error(`the text has too few repeated pairs for a vocabulary of ${size}`)
    const [left, right] = [Math.floor(best / size), best % size]
    const touched = pairs.get(best)!.words
    for (const word of touched) {
      add(word, -1)
      word.ids = merge(word.ids, left, right, names.length)
      add(word, 1)
    }
    pairs.delete(best)
    merges.push([names[left], names[right]])
    names.push(names[left] + names[right])
  }
  return { tokens: new Map(names.map((name, id) => [name, id])), merges }
}

/** Contents of a Hugging Face `tokenizer.json` for the vocabulary. */
export function tokenizerJson({ tokens, merges }: Vocabulary, specials: readonly string[]): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens),
      merges: merges.map(pair => pair.join(' ')),
    },
  }
}

interface Word {
  ids: number[]
  readonly count: number
}

function countWords(texts: readonly string[], firstByte: number): Word[] {
  const counts = new Map<string, number>()
  for (const text of texts) for (const piece of pieces(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  const rank = byteRanks()
  const encoder = new TextEncoder()
  return [...counts].map(([piece, count]) => ({
    count,
    ids: [...encoder.encode(piece)].map(byte => firstByte + rank[byte]),
  }))
}

function merge(ids: readonly number[], left: number, right: number, merged: number): number[] {
  const out: number[] = []
  for (let i = 0; i < ids.length; i++) {
    const hit = ids[i] === left && ids[i + 1] === right
    out.push(hit ? merged : ids[i])
    if (hit) i++
  }
  return out
}

/** Bytes in GPT-2's order: the printable ones first, then the rest. */
function byteOrder(): number[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174
  const bytes = Array.from({ length: 256 }, (_, b) => b)
  return [...bytes.filter(printable), ...bytes.filter(b => !printable(b))]
}

/** One visible character per byte, as GPT-2 writes them. */
function byteAlphabet(): string[] {
  return byteOrder().map((byte, rank) => String.fromCodePoint(rank < 188 ? byte : 256 + rank - 188))
}

function byteRanks(): number[] {
  const ranks: number[] = []
  for (const [rank, byte] of byteOrder().entries()) ranks[byte] = rank
  return ranks
}
