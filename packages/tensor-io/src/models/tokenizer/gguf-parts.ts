import { ReallmError } from '../../core/errors.ts'
import type { GgufValue } from '../../formats/gguf/values.ts'
import type { TokenizerPart } from './pre-tokenizer.ts'
import type { Merge } from './sentence-piece.ts'

export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special?: boolean
}

/** The parts of `tokenizer.json` that are written. */
export interface Tokenizer {
  readonly normalizer?: TokenizerPart | null
  readonly pre_tokenizer?: TokenizerPart | null
  readonly added_tokens?: readonly AddedToken[]
  readonly model?: {
    readonly type?: string
    /** Of a Unigram a list of pieces with their scores. */
    readonly vocab?: Readonly<Record<string, number>> | readonly (readonly [piece: string, score: number])[]
    readonly unk_id?: number | null
    readonly merges?: readonly (string | Merge)[]
    readonly byte_fallback?: boolean
    readonly ignore_merges?: boolean
    readonly dropout?: number | null
    readonly unk_token?: string | null
    readonly continuing_subword_prefix?: string | null
    readonly end_of_word_suffix?: string | null
  }
}

export const text = (value: string): GgufValue => ({ type: 'string', value })
export const texts = (value: readonly string[]): GgufValue => ({ type: 'string', value })
export const flag = (value: boolean): GgufValue => ({ type: 'bool', value })
export const whole = (value: number): GgufValue => ({ type: 'uint32', value })

export interface Vocabulary {
  readonly tokens: readonly string[]
  readonly types: number[]
}

/** SentencePiece's names of the 256 bytes. */
export const bytes = Array.from(
  { length: 256 },
  (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
)

export const refuse = (what: string, hint = 'convert to safetensors instead') =>
  new ReallmError('unsupported', `the tokenizer cannot be written to GGUF: ${what}`, { hint })
