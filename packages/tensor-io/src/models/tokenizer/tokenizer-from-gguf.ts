import { ReallmError } from '../../core/errors.ts'
import type { GgufMetadata } from '../config-from-gguf.ts'
import type { TokenizerFiles } from './create-tokenizer.ts'
import { decodesPieces, type KindOfTokenizer, missing, spaces, type TypeOf } from './gguf-kinds.ts'
import { type GgufTables, ggufTables } from './gguf-tables.ts'
import { preTokenizerOf } from './pre-tokenizer.ts'
import { mergesOfScores, tokenTypes } from './sentence-piece.ts'
import { unigramFromGguf } from './unigram-from-gguf.ts'
import { splitterNamed, wordSplitters } from './word-splitters.ts'

/**
 * `tokenizer.json` and `tokenizer_config.json` of a GGUF file, from its metadata.
 *
 * @param name what errors call the file
 * @throws `unsupported` for another kind of tokenizer, listing the known ones; `bad-file` for tables of another type or length
 */
export function tokenizerFromGguf(metadata: GgufMetadata, name = 'this GGUF file'): TokenizerFiles {
  const tables = ggufTables(name, metadata)
  const { get } = tables
  const tokens = tables.texts('tokens')
  if (!tokens) throw new ReallmError('not-found', `${name}: it has no tokenizer (tokenizer.ggml.tokens)`)
  const types = tables.numbers('token_type', tokens.length)
  const typeOf = (id: number) => types?.[id] ?? tokenTypes.normal
  const make = kinds.get(get('model'))
  if (!make) {
    throw new ReallmError('unsupported', `${name}: the GGUF tokenizer ${get('model')} is not supported`, {
      hint: `supported: ${[...kinds.keys()].join(', ')}`,
    })
  }
  const { defaults, ...parts } = make(tables, tokens, typeOf)
  const token = (name: string) => {
    const id = get(`${name}_token_id`) ?? defaults[name]
    return id === undefined ? undefined : tokens[Number(id)]
  }
  const bos = token('bos')
  const eos = token('eos')
  const before = (get('add_bos_token') ?? defaults.add_bos) === true ? bos : undefined
  const after = (get('add_eos_token') ?? defaults.add_eos) === true ? eos : undefined
  const added = tokens.flatMap((content, id) => {
    const special = typeOf(id) === tokenTypes.control || typeOf(id) === tokenTypes.unknown
    if (content === '' || (!special && typeOf(id) !== tokenTypes.userDefined)) return []
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }]
  })
  const chat_template = chatTemplate(metadata)
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      post_processor: wrapping(tokens, before, after),
      ...parts,
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      bos_token: bos ?? null,
      eos_token: eos ?? null,
      unk_token: token('unknown') ?? null,
      pad_token: token('padding') ?? null,
      ...(chat_template !== undefined && { chat_template }),
    },
  }
}

function byteLevelBpe(
  { name, get, texts }: GgufTables,
  tokens: readonly string[],
  typeOf: TypeOf,
): KindOfTokenizer {
  const pre = String(get('pre') ?? 'default')
  const splitter = splitterNamed(pre)
  if (!splitter) {
    throw new ReallmError('unsupported', `${name}: the GGUF pre-tokenizer ${pre} is not supported`, {
      hint: `supported: ${wordSplitters.flatMap(({ names }) => names).join(', ')}`,
    })
  }
  const merges = texts('merges')
  if (!merges) throw missing(name, 'merges')
  return {
    model: bpe(tokens, typeOf, merges, { ignore_merges: splitter.ignoresMerges ?? false }),
    normalizer: splitter.nfc ? { type: 'NFC' } : null,
    pre_tokenizer: preTokenizerOf(splitter),
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    defaults: { add_bos: splitter.addsBos ?? false },
  }
}

/** SentencePiece's BPE: the order of merges is that of the merged pieces' scores. */
function sentencePiece(
  { name, get, numbers }: GgufTables,
  tokens: readonly string[],
  typeOf: TypeOf,
): KindOfTokenizer {
  const scores = numbers('scores', tokens.length)
  if (!scores) throw missing(name, 'scores')
  const prefix = get('add_space_prefix') !== false
  const unk_token = tokens[Number(get('unknown_token_id') ?? 0)]
  return {
    model: bpe(tokens, typeOf, mergesOfScores(tokens, scores, typeOf), {
      byte_fallback: true,
      fuse_unk: true,
      unk_token,
    }),
    normalizer: prefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] }
      : spaces,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [...decodesPieces, ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])],
    },
    defaults: { bos: 1, eos: 2, unknown: 0, add_bos: true },
  }
}

/** Gemma 4's: pieces as those of SentencePiece, with merges as those of byte-level BPE, and no space in front. */
function piecesWithMerges(
  { name, get, texts }: GgufTables,
  tokens: readonly string[],
  typeOf: TypeOf,
): KindOfTokenizer {
  const merges = texts('merges')
  if (!merges) throw missing(name, 'merges')
  const unknown = get('unknown_token_id')
  return {
    model: bpe(tokens, typeOf, merges.map(pairOf), {
      byte_fallback: true,
      fuse_unk: true,
      unk_token: unknown === undefined ? null : tokens[Number(unknown)],
    }),
    normalizer: spaces,
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders: [...decodesPieces] },
    defaults: { add_bos: true },
  }
}

/** A merge of pieces; the first may be a space. */
function pairOf(merge: string): [left: string, right: string] {
  const at = merge.indexOf(' ', 1)
  return [merge.slice(0, at), merge.slice(at + 1)]
}

const kinds: ReadonlyMap<
  unknown,
  (tables: GgufTables, tokens: readonly string[], typeOf: TypeOf) => KindOfTokenizer
> = new Map([
  ['gpt2', byteLevelBpe],
  ['llama', sentencePiece],
  ['gemma4', piecesWithMerges],
  ['t5', unigramFromGguf],
])

const bpe = (
  tokens: readonly string[],
  typeOf: TypeOf,
  merges: readonly (string | readonly string[])[],
  options: object,
) => ({
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab: Object.fromEntries(
    tokens.map((token, id) => [token, id] as const).filter(([token, id]) => !isFiller(token, id, typeOf)),
  ),
  merges,
  ...options,
})

/** A row of the embedding without a token, as converters name it. */
const isFiller = (token: string, id: number, typeOf: TypeOf): boolean =>
  typeOf(id) === tokenTypes.unused && token.includes(`[PAD${id}]`)

/** The template that puts a token before and one after a text; null for neither. */
function wrapping(tokens: readonly string[], before: string | undefined, after: string | undefined) {
  const special = (token: string | undefined, type_id: number) =>
    token === undefined ? [] : [{ SpecialToken: { id: token, type_id } }]
  const part = (id: string, type_id: number) => [
    ...special(before, type_id),
    { Sequence: { id, type_id } },
    ...special(after, type_id),
  ]
  const used = [before, after].filter(token => token !== undefined)
  if (used.length === 0) return null
  return {
    type: 'TemplateProcessing',
    single: part('A', 0),
    pair: [...part('A', 0), ...part('B', 1)],
    special_tokens: Object.fromEntries(
      used.map(token => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
    ),
  }
}

/** One template as it is, several by their names. */
function chatTemplate(metadata: GgufMetadata): unknown {
  const prefix = 'tokenizer.chat_template.'
  const named = Object.entries(metadata).flatMap(([key, template]) =>
    key.startsWith(prefix) && typeof template === 'string'
      ? [{ name: key.slice(prefix.length), template }]
      : [],
  )
  const template = metadata['tokenizer.chat_template']
  if (named.length === 0) return template
  return [...(typeof template === 'string' ? [{ name: 'default', template }] : []), ...named]
}
