/** How texts are cut into words before byte-level BPE merges: expressions applied one after the other, each to all pieces. */
export interface WordSplitter {
  /** Values of `tokenizer.ggml.pre` with this behaviour in llama.cpp; the first is the one to write. */
  readonly names: readonly [string, ...string[]]
  readonly patterns: readonly string[]
  /** Unicode normalisation form C first. llama.cpp leaves it out. */
  readonly nfc?: true
  /** Words that are tokens are not merged. */
  readonly ignoresMerges?: true
  /** BOS goes in front where the file doesn't say. */
  readonly addsBos?: true
}

/** GPT-2's words. */
const words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const rest = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
/** OpenAI's cl100k, with at most so many digits in a word. */
const cl100k = (digits: string) => `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${rest}`
const upper = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}'
const lower = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}'
/** OpenAI's o200k: words change where lower case is followed by upper case. */
const o200k = (suffix: string, digits: string) =>
  [
    `[^\\r\\n\\p{L}\\p{N}]?[${upper}]*[${lower}]+${suffix}`,
    `[^\\r\\n\\p{L}\\p{N}]?[${upper}]+[${lower}]*${suffix}`,
    digits,
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
    '\\s*[\\r\\n]+',
    '\\s+(?!\\S)',
    '\\s+',
  ].join('|')
const cjk = '[一-龥ࠀ-一가-퟿]+'
const sentenceParts = ' ?[^(\\s|[.,!?…。，、।۔،])]+'

/** Every kind that is known, with the names that llama.cpp gives them. */
export const wordSplitters: readonly WordSplitter[] = [
  {
    names: [
      ...(['gpt-2', 'phi-2', 'mpt', 'olmo', 'trillion', 'exaone4', 'mellum', 'gigachat', 'jais'] as const),
      ...['granite-docling', 'a.x-4.0', 'modern-bert', 'jina-es', 'jina-de', 'jina-v2-es', 'jina-v2-de'],
    ],
    patterns: [words],
  },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
    patterns: ['\\p{N}', words],
  },
  {
    names: [
      'llama-bpe',
      'llama3',
      'llama-v3',
      'falcon3',
      'pixtral',
      'midm-2.0',
      'lfm2',
      'falcon-h1',
      'jina-v5-nano',
    ],
    patterns: [cl100k('\\p{N}{1,3}')],
    ignoresMerges: true,
    addsBos: true,
  },
  { names: ['smaug-bpe', 'dbrx', 'glm4', 'chatglm-bpe'], patterns: [cl100k('\\p{N}{1,3}')] },
  {
    names: ['qwen2', 'deepseek-r1-qwen', 'megrez', 'kormo', 'f2llmv2'],
    patterns: [cl100k('\\p{N}')],
    nfc: true,
  },
  { names: ['hunyuan', 'stablelm2', 'grok-2', 'solar-open'], patterns: [cl100k('\\p{N}')] },
  {
    names: ['qwen35'],
    patterns: [
      `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    ],
    nfc: true,
  },
  { names: ['tekken'], patterns: [o200k('', '\\p{N}')], ignoresMerges: true, addsBos: true },
  {
    names: ['gpt-4o', 'llama4', 'kanana2', 'talkie', 'minimax-m2'],
    patterns: [o200k(`${contractions}?`, '\\p{N}{1,3}')],
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm'],
    patterns: [
      '\\p{N}{1,3}',
      '[一-龥぀-ゟ゠-ヿ]+',
      '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+',
    ],
  },
  { names: ['deepseek-coder'], patterns: ['[\r\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', cjk, '\\p{N}'] },
  {
    names: ['seed-coder'],
    patterns: [
      `${contractions}|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+`,
    ],
  },
  {
    names: ['minicpm5'],
    patterns: ['\\p{N}{1,3}', cl100k('\\p{N}+')],
    ignoresMerges: true,
  },
  {
    names: ['bailingmoe', 'bailingmoe2', 'llada-moe'],
    patterns: [
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    ],
  },
  { names: ['falcon'], patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', words, '[0-9][0-9][0-9]'] },
  { names: ['poro-chat', 'bloom', 'gpt3-finnish'], patterns: [sentenceParts] },
  { names: ['viking'], patterns: [sentenceParts, '\\p{N}'] },
  // What llama.cpp takes for a file without `pre`.
  { names: ['default'], patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', words, '\\p{N}+', '[0-9][0-9][0-9]'] },
]

/** The splitter of a `tokenizer.ggml.pre`. */
export const splitterNamed = (name: string): WordSplitter | undefined =>
  wordSplitters.find(splitter => splitter.names.includes(name))
