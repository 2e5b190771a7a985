import { ReallmError } from '../../core/errors.ts'

/** The parts of a `tokenizer.json` that a kind of tokenizer in GGUF becomes. */
export interface KindOfTokenizer {
  readonly model: object
  readonly normalizer: object | null
  readonly pre_tokenizer: object | null
  readonly decoder: object
  /** What llama.cpp takes where the file says nothing. */
  readonly defaults: Readonly<Record<string, number | boolean>>
}

/** The type of a token, see `tokenTypes`. */
export type TypeOf = (id: number) => number

export const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }

export const decodesPieces = [
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
]

export const missing = (name: string, key: string) =>
  new ReallmError('bad-file', `${name}: it has no tokenizer.ggml.${key}`, {
    hint: 'convert the model again',
  })
