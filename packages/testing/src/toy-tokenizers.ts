import type { TokenizerFiles } from '@reallm/tensor-io/tokenizer'

type Merge = readonly [left: string, right: string]

/** GPT-2's letter for each byte: itself where it can be seen, one from 256 on otherwise. */
const letters = (() => {
  const visible = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173)
  let hidden = 0
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(visible(b) ? b : 256 + hidden++))
})()

const added = (id: number, content: string, special = true) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special,
})

const template =
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

const bytePairs: readonly Merge[] = [
  ['Ġ', 'Ġ'],
  ['ĠĠ', 'ĠĠ'],
  ['Ċ', 'Ċ'],
  ['h', 'e'],
  ['l', 'l'],
  ['he', 'll'],
  ['hell', 'o'],
  ['Ġ', 'w'],
  ['Ġw', 'o'],
  ['1', '2'],
  ['12', '3'],
  ["'", 's'],
  ['Ã', '©'],
  ['o', 'o'],
]

export interface ByteLevelOptions {
  readonly pre_tokenizer?: object
  readonly normalizer?: object | null
  readonly ignore_merges?: boolean
  /** Puts `<|begin|>` before every text. */
  readonly begins?: boolean
  /** Puts `<|end|>` behind every text. */
  readonly ends?: boolean
}

/** A byte-level BPE of 274 tokens with GPT-2's words: bytes, fourteen merges, `<|begin|>`, `<|end|>`, `<|turn|>`, `<tool>`. */
export function byteLevelTokenizer(options: ByteLevelOptions = {}): TokenizerFiles {
  const { begins = false, ends = false, normalizer = null, ignore_merges = false } = options
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const tokens = [...letters, ...bytePairs.map(pair => pair.join(''))]
  const first = tokens.length
  const around = [...(begins ? ['<|begin|>'] : []), 'A', ...(ends ? ['<|end|>'] : [])]
  const special = ['<|begin|>', '<|end|>', '<|turn|>']
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: [
        ...special.map((content, i) => added(first + i, content)),
        added(first + 3, '<tool>', false),
      ],
      normalizer,
      pre_tokenizer: options.pre_tokenizer ?? byteLevel,
      post_processor:
        around.length > 1 ? wrapping(around, { '<|begin|>': first, '<|end|>': first + 1 }) : null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: bytePairs,
        ignore_merges,
      },
    },
    config: { bos_token: '<|begin|>', eos_token: '<|end|>', chat_template: template },
  }
}

export interface SentencePieceOptions {
  readonly normalizer?: object
  readonly pre_tokenizer?: object | null
  readonly merges?: readonly Merge[]
  readonly model?: object
}

export const prependsSpace = {
  type: 'Sequence',
  normalizers: [
    { type: 'Prepend', prepend: '▁' },
    { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
  ],
}
export const replacesSpaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }

/** Llama 2's kind: bytes as `<0x…>`, ▁ for a space, runs of ▁, words that merges build letter by letter. */
export function sentencePieceTokenizer(options: SentencePieceOptions = {}): TokenizerFiles {
  const { normalizer = prependsSpace, pre_tokenizer = null } = options
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)
  const spaces: Merge[] = [
    ['▁▁▁', '▁'],
    ['▁▁', '▁▁'],
    ['▁', '▁▁▁'],
    ['▁▁', '▁'],
    ['▁', '▁▁'],
    ['▁', '▁'],
  ]
  const words = ['▁hello', '▁world', 'ing', '😀👍'].flatMap(word => {
    const characters = [...word]
    return characters.slice(1).map((c, i): Merge => [characters.slice(0, i + 1).join(''), c])
  })
  const merges = options.merges ?? [...spaces, ...words]
  const made = new Set(merges.map(pair => pair.join('')))
  const alphabet = ['▁', ...'abcdefghijklmnopqrstuvwxyz', '😀', '👍', '\n']
  const tokens = [...new Set(['<unk>', '<s>', '</s>', ...bytes, ...alphabet, ...made])]
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: [
        added(0, '<unk>'),
        added(1, '<s>'),
        added(2, '</s>'),
        added(tokens.length, '<tool>', false),
      ],
      normalizer,
      pre_tokenizer,
      post_processor: wrapping(['<s>', 'A'], { '<s>': 1 }),
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...(normalizer === prependsSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
        ],
      },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges,
        ...options.model,
      },
    },
    config: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', chat_template: template },
  }
}

function wrapping(parts: readonly string[], ids: Readonly<Record<string, number>>) {
  const single = parts.map(id =>
    id === 'A' ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } },
  )
  return {
    type: 'TemplateProcessing',
    single,
    pair: single,
    special_tokens: Object.fromEntries(
      Object.entries(ids).map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }]),
    ),
  }
}
