import { type WordSplitter, wordSplitters } from './word-splitters.ts'

/** A part of `tokenizer.json`, as far as it is looked at here. */
export interface TokenizerPart {
  readonly type?: string
  readonly normalizers?: readonly TokenizerPart[]
  readonly pretokenizers?: readonly TokenizerPart[]
  readonly pattern?: { readonly Regex?: string; readonly String?: string }
  readonly behavior?: string
  readonly invert?: boolean
  readonly individual_digits?: boolean
  readonly add_prefix_space?: boolean
  readonly prepend_scheme?: string
  readonly use_regex?: boolean
  readonly split?: boolean
  readonly prepend?: string
  readonly content?: string
  readonly replacement?: string
  readonly precompiled_charsmap?: string | null
}

const gptWords = wordSplitters.find(({ names }) => names[0] === 'gpt-2')!.patterns[0]
const digit = '\\p{N}'

const byteLevel = (use_regex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
})

/** The `pre_tokenizer` that cuts texts as a word splitter does, and turns bytes into characters. */
export function preTokenizerOf({ patterns }: WordSplitter): object {
  const usesOwn = patterns.at(-1) === gptWords
  const splits = (usesOwn ? patterns.slice(0, -1) : patterns).map(Regex =>
    Regex === digit
      ? { type: 'Digits', individual_digits: true }
      : { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
  )
  const last = byteLevel(usesOwn)
  return splits.length === 0 ? last : { type: 'Sequence', pretokenizers: [...splits, last] }
}

/** The steps of a part that may be absent, one, or a sequence. */
export const stepsOf = (part: TokenizerPart | null | undefined): readonly TokenizerPart[] =>
  !part
    ? []
    : part.type === 'Sequence'
      ? (part.pretokenizers ?? part.normalizers ?? []).flatMap(stepsOf)
      : [part]

/** Whether texts become bytes before merging. */
export const isByteLevel = (preTokenizer: TokenizerPart | null | undefined): boolean =>
  stepsOf(preTokenizer).at(-1)?.type === 'ByteLevel'

/** The word splitter that a `normalizer`, a `pre_tokenizer` and `ignore_merges` come to; undefined for one without a name. */
export function splitterOf(
  normalizer: TokenizerPart | null | undefined,
  preTokenizer: TokenizerPart | null | undefined,
  ignoresMerges: boolean,
): WordSplitter | undefined {
  const steps = stepsOf(preTokenizer)
  const patterns = steps.map(patternsOf)
  const forms = stepsOf(normalizer).map(({ type }) => type)
  if (patterns.includes(undefined) || forms.some(type => type !== 'NFC')) return undefined
  if (steps.findIndex(({ type }) => type === 'ByteLevel') !== steps.length - 1) return undefined
  const found = patterns.flat().join('\0')
  return wordSplitters.find(
    splitter =>
      splitter.patterns.join('\0') === found &&
      (splitter.nfc ?? false) === forms.length > 0 &&
      (splitter.ignoresMerges ?? false) === ignoresMerges,
  )
}

/** The expressions by which one step cuts; undefined for what no expression says. */
function patternsOf(step: TokenizerPart): readonly string[] | undefined {
  switch (step.type) {
    case 'Digits':
      return [step.individual_digits ? digit : `${digit}+`]
    case 'ByteLevel':
      return step.add_prefix_space ? undefined : (step.use_regex ?? true) ? [gptWords] : []
    case 'Split': {
      const { Regex } = step.pattern ?? {}
      if (Regex === undefined) return undefined
      // To keep only what matches is to isolate it where an expression matches everything.
      const keepsAll = step.invert
        ? step.behavior === 'Removed' && Regex.endsWith('|\\s+')
        : step.behavior === 'Isolated'
      return keepsAll ? [Regex] : undefined
    }
    default:
      return undefined
  }
}
