import { ReallmError } from '../../core/errors.ts'
import { base64Of } from './charsmap.ts'
import { decodesPieces, type KindOfTokenizer, missing, spaces, type TypeOf } from './gguf-kinds.ts'
import { bytes } from './gguf-parts.ts'
import type { GgufTables } from './gguf-tables.ts'
import { tokenTypes } from './sentence-piece.ts'

/** SentencePiece's Unigram: the pieces whose scores add up to the most. */
export function unigramFromGguf(
  { name, get, numbers }: GgufTables,
  tokens: readonly string[],
  typeOf: TypeOf,
): KindOfTokenizer {
  const scores = numbers('scores', tokens.length)
  if (!scores) throw missing(name, 'scores')
  const prefix = get('add_space_prefix') === true
  const charsmap = numbers('precompiled_charsmap')
  const mapped = charsmap ? [{ type: 'Precompiled', precompiled_charsmap: base64Of(charsmap) }] : []
  const merges = get('remove_extra_whitespaces') === true
  const steps = merges
    ? [
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
      ]
    : [...(prefix ? [{ type: 'Prepend', prepend: '▁' }] : []), spaces]
  // Rows of the embedding without a token come last.
  let count = tokens.length
  while (count > 0 && typeOf(count - 1) === tokenTypes.unused) count--
  const unknown = Number(get('unknown_token_id') ?? 2)
  if (!(unknown < count)) {
    throw new ReallmError('bad-file', `${name}: tokenizer.ggml.unknown_token_id ${unknown} is no token`, {
      hint: 'convert the model again',
    })
  }
  const ids = new Set(tokens.filter((_, id) => typeOf(id) === tokenTypes.byte))
  return {
    model: {
      type: 'Unigram',
      unk_id: unknown,
      vocab: tokens.slice(0, count).map((token, id) => [token, scores[id]]),
      byte_fallback: bytes.every(byte => ids.has(byte)),
    },
    normalizer: { type: 'Sequence', normalizers: [...mapped, ...steps] },
    pre_tokenizer: merges
      ? { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false }
      : null,
    decoder: {
      type: 'Sequence',
      decoders: [...decodesPieces, ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])],
    },
    defaults: { eos: 1, unknown: 2, padding: 0, add_eos: true },
  }
}
