import type { GgufValue } from '../../formats/gguf/values.ts'
import { namedTemplates } from './chat-templates.ts'
import { contentOf, endNames, type TextTokenizer } from './create-tokenizer.ts'
import {
  type AddedToken,
  bytes,
  flag,
  refuse,
  type Tokenizer,
  text,
  texts,
  type Vocabulary,
  whole,
} from './gguf-parts.ts'
import { isByteLevel, splitterOf, stepsOf, type TokenizerPart } from './pre-tokenizer.ts'
import { type Merge, scoresOfMerges, tokenTypes } from './sentence-piece.ts'
import { unigramToGguf } from './unigram-to-gguf.ts'

/**
 * The metadata of a GGUF file that say what a tokenizer says: byte-level BPE as `gpt2` with the name of its word splitter,
 * SentencePiece's BPE as `llama` with scores, or as `gemma4` with merges where scores cannot say the same, its Unigram as `t5`.
 *
 * @param rows of the embedding: tokens that are lacking are added as unused ones, as llama.cpp wants
 * @throws `unsupported` naming what GGUF cannot say
 */
export function tokenizerToGguf(tokenizer: TextTokenizer, rows: number): Record<string, GgufValue> {
  const parts = tokenizer.files.tokenizer as Tokenizer
  const { vocabulary, kind } = parts.model?.type === 'Unigram' ? unigram(parts, rows) : bytePairs(parts, rows)
  return {
    ...kind,
    'tokenizer.ggml.tokens': texts(vocabulary.tokens),
    'tokenizer.ggml.token_type': { type: 'int32', value: vocabulary.types },
    ...specialTokens(tokenizer, vocabulary.tokens),
    ...chatTemplates(tokenizer.files.config.chat_template),
  }
}

/** Its vocabulary, and what says of what kind it is. */
interface Kind {
  readonly vocabulary: Vocabulary
  readonly kind: Readonly<Record<string, GgufValue>>
}

function bytePairs(parts: Tokenizer, rows: number): Kind {
  const model = parts.model ?? {}
  if (model.type !== 'BPE' || !model.vocab || !model.merges) {
    throw refuse(`a ${model.type ?? 'nameless'} tokenizer has no form in it`)
  }
  for (const key of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'] as const) {
    if (model[key]) throw refuse(`it has no key for ${key}`)
  }
  const vocabulary = vocabularyOf(Object.entries(model.vocab), parts.added_tokens ?? [], rows)
  const merges = model.merges.map((merge): Merge => {
    const [left, right = ''] = typeof merge === 'string' ? merge.split(' ', 2) : merge
    return [left, right]
  })
  const kind = isByteLevel(parts.pre_tokenizer)
    ? byteLevel(parts, merges)
    : sentencePiece(parts, vocabulary, merges)
  return { vocabulary, kind }
}

function unigram(parts: Tokenizer, rows: number): Kind {
  const pieces = parts.model?.vocab
  if (!Array.isArray(pieces)) throw refuse('its Unigram has no list of pieces')
  const ids = pieces.map(([piece], id): [string, number] => [piece, id])
  const vocabulary = vocabularyOf(ids, parts.added_tokens ?? [], rows)
  return { vocabulary, kind: unigramToGguf(parts, vocabulary, pieces) }
}

function vocabularyOf(
  vocab: readonly (readonly [token: string, id: number])[],
  added: readonly AddedToken[],
  rows: number,
): Vocabulary {
  const tokens = new Array<string | undefined>(rows)
  const types = new Array<number>(rows).fill(tokenTypes.unused)
  const ids = new Map<string, number>()
  const put = (content: string, id: number, type: number) => {
    const other = ids.get(content)
    if (other !== undefined && other !== id) {
      throw refuse(`${JSON.stringify(content)} has the ids ${other} and ${id}`)
    }
    ids.set(content, id)
    tokens[id] = content
    types[id] = type
  }
  for (const [token, id] of vocab) {
    if (id >= rows)
      throw refuse(`the token ${JSON.stringify(token)} has id ${id}, the embedding ${rows} rows`)
    put(token, id, tokenTypes.normal)
  }
  // Added tokens beyond the embedding, such as those of an image encoder, cannot be in a text that the model reads.
  for (const { id, content, special } of added) {
    if (id < rows) put(content, id, special ? tokenTypes.control : tokenTypes.userDefined)
  }
  return { tokens: Array.from(tokens, (token, id) => token ?? unusedToken(id, ids)), types }
}

/** llama.cpp's name for a row of the embedding without a token. */
function unusedToken(id: number, taken: ReadonlyMap<string, number>): string {
  let name = `[PAD${id}]`
  while (taken.has(name)) name = `[${name}]`
  return name
}

function byteLevel(
  { normalizer, pre_tokenizer, model }: Tokenizer,
  merges: readonly Merge[],
): Record<string, GgufValue> {
  const splitter = splitterOf(normalizer, pre_tokenizer, model?.ignore_merges ?? false)
  if (!splitter) {
    const what = JSON.stringify({ normalizer, pre_tokenizer, ignore_merges: model?.ignore_merges ?? false })
    throw refuse(`llama.cpp has no name for how it cuts texts: ${what}`)
  }
  return {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text(splitter.names[0]),
    'tokenizer.ggml.merges': texts(merges.map(merge => merge.join(' '))),
  }
}

/** Sets the types of bytes, and of added runs of spaces that merges make as well. */
function sentencePiece(
  { normalizer, pre_tokenizer, model = {} }: Tokenizer,
  { tokens, types }: Vocabulary,
  merges: readonly Merge[],
): Record<string, GgufValue> {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  for (const byte of bytes) {
    const id = ids.get(byte)
    if (!model.byte_fallback || id === undefined) {
      throw refuse('it is neither byte-level BPE nor SentencePiece with a token for every byte')
    }
    types[id] = tokenTypes.byte
  }
  if (model.ignore_merges) throw refuse('SentencePiece has no ignore_merges')
  const merged = new Set(merges.map(([left, right]) => left + right))
  for (const [id, token] of tokens.entries()) {
    if (types[id] === tokenTypes.userDefined && token.includes('▁') && merged.has(token)) {
      types[id] = tokenTypes.normal
    }
  }
  const unknown = model.unk_token ? ids.get(model.unk_token) : undefined
  if (unknown !== undefined) types[unknown] = tokenTypes.unknown
  const prefix = addsSpace(normalizer, pre_tokenizer)
  return {
    ...scoresOrMerges({ tokens, types }, merges, prefix),
    ...(unknown !== undefined && { 'tokenizer.ggml.unknown_token_id': whole(unknown) }),
    'tokenizer.ggml.add_space_prefix': flag(prefix),
  }
}

/**
 * SentencePiece's scores where they say what the merges say; otherwise the merges as Gemma 4 has them, which llama.cpp
 * reads for pieces that do not mix lines with other text, without a space in front.
 */
function scoresOrMerges(
  { tokens, types }: Vocabulary,
  merges: readonly Merge[],
  prefix: boolean,
): Record<string, GgufValue> {
  try {
    const scores = scoresOfMerges(tokens, merges, id => types[id])
    return {
      'tokenizer.ggml.model': text('llama'),
      'tokenizer.ggml.pre': text('default'),
      'tokenizer.ggml.scores': { type: 'float32', value: scores },
    }
  } catch (error) {
    if (prefix || merges.some(([left, right]) => mixesLines(left + right))) throw error
    return {
      'tokenizer.ggml.model': text('gemma4'),
      'tokenizer.ggml.merges': texts(merges.map(merge => merge.join(' '))),
    }
  }
}

const mixesLines = (piece: string): boolean => piece.includes('\n') && !/^\n+$/.test(piece)

/** Whether ▁ goes in front of every text, spaces becoming ▁ in any case. */
function addsSpace(
  normalizer: TokenizerPart | null | undefined,
  preTokenizer: TokenizerPart | null | undefined,
): boolean {
  const steps = [...stepsOf(normalizer), ...stepsOf(preTokenizer)].filter(step => !cutsNothing(step))
  const last = steps.at(-1)
  const replaces =
    last?.type === 'Replace'
      ? last.pattern?.String === ' ' && last.content === '▁'
      : last?.type === 'Metaspace' && last.split === false && last.prepend_scheme === 'never'
  const [first] = steps
  if (replaces && steps.length === 1) return false
  if (replaces && steps.length === 2 && first.type === 'Prepend' && first.prepend === '▁') return true
  if (last?.type === 'Metaspace') {
    throw refuse(
      `llama.cpp puts a space in front of every text and behind every special token or nowhere; this one has Metaspace with prepend_scheme ${last.prepend_scheme}`,
      'in tokenizer.json, the normalizers Prepend "▁" and Replace " " by "▁" are what llama.cpp does; or convert to safetensors',
    )
  }
  throw refuse(`llama.cpp has no form of ${JSON.stringify({ normalizer, pre_tokenizer: preTokenizer })}`)
}

/** Gemma cuts at spaces that are ▁ by then. */
const cutsNothing = ({ type, pattern }: TokenizerPart): boolean => type === 'Split' && pattern?.String === ' '

function specialTokens(tokenizer: TextTokenizer, tokens: readonly string[]): Record<string, GgufValue> {
  const { bos, eos, files } = tokenizer
  const [before, after] = wrappingOf(tokenizer)
  const first = before[0] ?? bos
  if (before.length > 1 || after.length > 1 || (bos !== undefined && first !== bos)) {
    const names = [...before, ...after].map(id => tokens[id]).join(' and ')
    throw refuse(`it has no key for what goes around a text here: ${names}`)
  }
  const last = after[0] ?? eos[0]
  if (after.length > 0 && last !== eos[0]) {
    throw refuse(`${tokens[last]} goes behind a text, ${tokens[eos[0]] ?? 'nothing'} ends one`)
  }
  const padding = tokens.indexOf(contentOf(files.config.pad_token) ?? '')
  return {
    ...(first !== undefined && { 'tokenizer.ggml.bos_token_id': whole(first) }),
    ...endTokens(eos, tokens),
    ...(padding >= 0 && { 'tokenizer.ggml.padding_token_id': whole(padding) }),
    'tokenizer.ggml.add_bos_token': flag(before.length > 0),
    'tokenizer.ggml.add_eos_token': flag(after.length > 0),
  }
}

/** The ids that a tokenizer puts before and after a text. */
function wrappingOf(tokenizer: TextTokenizer): [before: number[], after: number[]] {
  const plain = tokenizer.encode('a')
  const wrapped = tokenizer.encode('a', { special: true })
  const at = wrapped.findIndex((_, i) => plain.every((id, j) => wrapped[i + j] === id))
  if (at < 0) throw refuse('it has no key for a template that changes the text')
  return [wrapped.slice(0, at), wrapped.slice(at + plain.length)]
}

/** Ends of texts that llama.cpp and this library know by their names need no key. */
function endTokens(eos: readonly number[], tokens: readonly string[]): Record<string, GgufValue> {
  const [first, ...others] = eos
  const unnamed = others.filter(id => !endNames.includes(tokens[id]))
  if (unnamed.length > 2) {
    throw refuse(
      `it has keys for three tokens that end a text, not for ${unnamed.map(id => tokens[id]).join(', ')}`,
    )
  }
  const [turn, message] = unnamed
  return {
    ...(first !== undefined && { 'tokenizer.ggml.eos_token_id': whole(first) }),
    ...(turn !== undefined && { 'tokenizer.ggml.eot_token_id': whole(turn) }),
    ...(message !== undefined && { 'tokenizer.ggml.eom_token_id': whole(message) }),
  }
}

function chatTemplates(given: unknown): Record<string, GgufValue> {
  const named = namedTemplates(given)
  const others = named.filter(({ name }) => name !== 'default')
  return {
    ...Object.fromEntries(
      named.map(({ name, template }) => [
        name === 'default' ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`,
        text(template),
      ]),
    ),
    ...(others.length > 0 && { 'tokenizer.chat_templates': texts(others.map(({ name }) => name)) }),
  }
}
