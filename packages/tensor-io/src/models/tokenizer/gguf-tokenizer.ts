import { ReallmError } from '../../core/errors.ts'
import type { GgufMetadata } from '../gguf.ts'
import type { TokenizerFiles } from './create-tokenizer.ts'

const byteLevel = (options: { use_regex: boolean }) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  ...options,
})
const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers })

/** How texts are cut into words before merging, by `tokenizer.ggml.pre`. */
const wordSplitters: Readonly<
  Record<string, { pre_tokenizer: object; normalizer?: object; ignoreMerges?: true }>
> = {
  default: { pre_tokenizer: byteLevel({ use_regex: true }) },
  'gpt-2': { pre_tokenizer: byteLevel({ use_regex: true }) },
  smollm: {
    pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel({ use_regex: true })),
  },
  'llama-bpe': {
    ignoreMerges: true,
    pre_tokenizer: sequence(
      split(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      ),
      byteLevel({ use_regex: false }),
    ),
  },
  qwen2: {
    normalizer: { type: 'NFC' },
    pre_tokenizer: sequence(
      split(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      ),
      byteLevel({ use_regex: false }),
    ),
  },
}

const typeNormal = 1
const typeUnknown = 2
const typeControl = 3
const typeUserDefined = 4

/**
 * `tokenizer.json` and `tokenizer_config.json` of a GGUF file, from its metadata.
 *
 * @throws `unsupported` for another kind of tokenizer, listing the known ones
 */
export function tokenizerFromGguf(metadata: GgufMetadata): TokenizerFiles {
  const get = (key: string) => metadata[`tokenizer.ggml.${key}`]
  const tokens = get('tokens') as readonly string[] | undefined
  if (!tokens) throw new ReallmError('not-found', 'this GGUF file has no tokenizer (tokenizer.ggml.tokens)')
  const types = get('token_type') as ArrayLike<number> | undefined
  const typeOf = (id: number) => types?.[id] ?? typeNormal
  const model = get('model')
  const parts =
    model === 'gpt2'
      ? byteLevelBpe(get, tokens)
      : model === 'llama'
        ? sentencePiece(get, tokens, typeOf)
        : undefined
  if (!parts) {
    throw new ReallmError('unsupported', `the GGUF tokenizer ${model} is not supported`, {
      hint: 'supported: gpt2, llama',
    })
  }
  const token = (name: string) => {
    const id = get(`${name}_token_id`)
    return id === undefined ? null : tokens[Number(id)]
  }
  const bos = token('bos')
  const addsBos = bos !== null && (get('add_bos_token') ?? parts.addsBos) === true
  const added = tokens.flatMap((content, id) => {
    const special = typeOf(id) === typeControl || typeOf(id) === typeUnknown
    if (!special && typeOf(id) !== typeUserDefined) return []
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }]
  })
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: parts.normalizer,
      pre_tokenizer: parts.pre_tokenizer,
      post_processor: addsBos ? startWith(bos, Number(get('bos_token_id'))) : null,
      decoder: parts.decoder,
      model: parts.model,
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      bos_token: bos,
      eos_token: token('eos'),
      unk_token: token('unknown'),
      pad_token: token('padding'),
      ...(metadata['tokenizer.chat_template'] !== undefined && {
        chat_template: metadata['tokenizer.chat_template'],
      }),
    },
  }
}

interface Parts {
  readonly model: object
  readonly normalizer: object | null
  readonly pre_tokenizer: object | null
  readonly decoder: object
  readonly addsBos: boolean
}
type Get = (key: string) => unknown

function byteLevelBpe(get: Get, tokens: readonly string[]): Parts {
  const pre = String(get('pre') ?? 'default')
  const splitter = wordSplitters[pre]
  if (!splitter) {
    throw new ReallmError('unsupported', `the GGUF pre-tokenizer ${pre} is not supported`, {
      hint: `supported: ${Object.keys(wordSplitters).join(', ')}`,
    })
  }
  return {
    model: bpe(tokens, get('merges') as string[], { ignore_merges: splitter.ignoreMerges ?? false }),
    normalizer: splitter.normalizer ?? null,
    pre_tokenizer: splitter.pre_tokenizer,
    decoder: byteLevel({ use_regex: true }),
    addsBos: pre === 'llama-bpe',
  }
}

/** SentencePiece's BPE: the order of merges is that of the merged pieces' scores. */
function sentencePiece(get: Get, tokens: readonly string[], typeOf: (id: number) => number): Parts {
  const scores = get('scores') as ArrayLike<number>
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const merges: { left: string; right: string; score: number }[] = []
  for (const [id, piece] of tokens.entries()) {
    if (typeOf(id) !== typeNormal) continue
    const characters = [...piece]
    const splits = characters
      .slice(1)
      .map((_, at) => [characters.slice(0, at + 1).join(''), characters.slice(at + 1).join('')])
    const possible = splits.filter(([left, right]) => ids.has(left) && ids.has(right))
    possible.sort((a, b) => ids.get(a[0])! - ids.get(b[0])! || ids.get(a[1])! - ids.get(b[1])!)
    for (const [left, right] of possible) merges.push({ left, right, score: scores[id] })
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length)
  const unknown = Number(get('unknown_token_id') ?? 0)
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const prefix = get('add_space_prefix') !== false
  const pairs = merges.map(({ left, right }) => [left, right])
  return {
    model: bpe(tokens, pairs, { byte_fallback: true, fuse_unk: true, unk_token: tokens[unknown] }),
    normalizer: prefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] }
      : spaces,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    addsBos: true,
  }
}

const bpe = (tokens: readonly string[], merges: readonly (string | string[])[], options: object) => ({
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
  merges,
  ...options,
})

const startWith = (token: string, id: number) => ({
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [
    { SpecialToken: { id: token, type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
    { SpecialToken: { id: token, type_id: 1 } },
    { Sequence: { id: 'B', type_id: 1 } },
  ],
  special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
})
