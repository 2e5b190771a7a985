/** Values of an option: any, or those that the tokenizers here give the reference's ids for. */
type Known = true | ((value: unknown, part: Readonly<Record<string, unknown>>) => boolean)
type Options = Readonly<Record<string, Known>>

const off = (value: unknown): boolean => value === null || value === false || value === 0 || value === ''
const none: Options = {}
const any = (...names: string[]): Options => Object.fromEntries(names.map(name => [name, true]))
const oneOf =
  (...values: unknown[]): Known =>
  value =>
    value === null || values.includes(value)

const metaspace = any('replacement', 'prepend_scheme', 'str_rep', 'split')
const byteLevel = any('add_prefix_space', 'trim_offsets', 'use_regex')

/** Parts of `tokenizer.json` by where they stand and their type, and options of each. */
export const knownParts: Readonly<Record<string, Readonly<Record<string, Options>>>> = {
  model: {
    BPE: {
      ...any(
        'vocab',
        'merges',
        'unk_token',
        'fuse_unk',
        'byte_fallback',
        'ignore_merges',
        'end_of_word_suffix',
      ),
      dropout: off,
      continuing_subword_prefix: off,
    },
    Unigram: any('vocab', 'unk_id', 'byte_fallback'),
    WordPiece: any('vocab', 'unk_token', 'continuing_subword_prefix', 'max_input_chars_per_word'),
    WordLevel: any('vocab', 'unk_token'),
  },
  normalizer: {
    Sequence: any('normalizers'),
    NFC: none,
    NFD: none,
    NFKC: none,
    NFKD: none,
    Lowercase: none,
    StripAccents: none,
    Strip: any('strip_left', 'strip_right'),
    Replace: any('pattern', 'content'),
    Prepend: any('prepend'),
    BertNormalizer: any('clean_text', 'handle_chinese_chars', 'strip_accents', 'lowercase'),
    Precompiled: any('precompiled_charsmap'),
  },
  pre_tokenizer: {
    Sequence: any('pretokenizers'),
    ByteLevel: byteLevel,
    Whitespace: none,
    WhitespaceSplit: none,
    BertPreTokenizer: none,
    Metaspace: {
      ...metaspace,
      add_prefix_space: (value, part) => value !== false || part.prepend_scheme === 'never',
    },
    Split: {
      ...any('pattern', 'invert'),
      behavior: (value, part) =>
        part.invert === true ? value === 'Removed' : value === 'Removed' || value === 'Isolated',
    },
    Punctuation: { behavior: oneOf('Contiguous') },
    Digits: any('individual_digits'),
    FixedLength: any('length'),
  },
  post_processor: {
    Sequence: any('processors'),
    TemplateProcessing: any('single', 'pair', 'special_tokens'),
    ByteLevel: byteLevel,
    BertProcessing: any('sep', 'cls'),
    RobertaProcessing: any('sep', 'cls', 'trim_offsets', 'add_prefix_space'),
  },
  decoder: {
    Sequence: any('decoders'),
    ByteLevel: byteLevel,
    ByteFallback: none,
    Fuse: none,
    Replace: any('pattern', 'content'),
    Strip: any('content', 'start', 'stop'),
    Metaspace: { ...metaspace, add_prefix_space: true },
    WordPiece: any('prefix', 'cleanup'),
    BPEDecoder: any('suffix'),
    CTC: any('pad_token', 'word_delimiter_token', 'cleanup'),
  },
}

/** Keys at the top of `tokenizer.json`; encoding here never cuts or pads. */
export const knownKeys: ReadonlySet<string> = new Set([
  ...['version', 'truncation', 'padding', 'added_tokens'],
  ...Object.keys(knownParts),
])

/** Parts whose results differ from the reference's for some texts, and for which. */
export const approximated: Readonly<Record<string, string>> = {
  'pre_tokenizer Whitespace': 'letters other than a to z',
}
