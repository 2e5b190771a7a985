import type { GgufValue } from '../../formats/gguf/values.ts'
import { bytesOfBase64 } from './charsmap.ts'
import { bytes, flag, refuse, type Tokenizer, text, type Vocabulary, whole } from './gguf-parts.ts'
import { stepsOf, type TokenizerPart } from './pre-tokenizer.ts'
import { tokenTypes } from './sentence-piece.ts'

/**
 * What GGUF says of SentencePiece's Unigram: scores, its map of characters, and what becomes of spaces. Sets the types of
 * bytes and of the unknown token.
 *
 * @throws `unsupported` naming what it has no key for
 */
export function unigramToGguf(
  { normalizer, pre_tokenizer, model = {} }: Tokenizer,
  { tokens, types }: Vocabulary,
  pieces: readonly (readonly [piece: string, score: number])[],
): Record<string, GgufValue> {
  const { unk_id, byte_fallback } = model
  if (unk_id == null || types[unk_id] === undefined) throw refuse('its Unigram has no unknown token')
  types[unk_id] = tokenTypes.unknown
  if (byte_fallback) {
    const ids = new Map(tokens.map((token, id) => [token, id]))
    for (const byte of bytes) {
      const id = ids.get(byte)
      if (id === undefined) throw refuse(`it writes unknown characters in bytes, and has no ${byte}`)
      types[id] = tokenTypes.byte
    }
  }
  const { charsmap, merges, prefix } = spacesOf(normalizer, pre_tokenizer)
  return {
    'tokenizer.ggml.model': text('t5'),
    'tokenizer.ggml.pre': text('default'),
    'tokenizer.ggml.scores': { type: 'float32', value: tokens.map((_, id) => pieces[id]?.[1] ?? 0) },
    'tokenizer.ggml.unknown_token_id': whole(unk_id),
    'tokenizer.ggml.add_space_prefix': flag(prefix),
    'tokenizer.ggml.remove_extra_whitespaces': flag(merges),
    ...(charsmap && { 'tokenizer.ggml.precompiled_charsmap': { type: 'uint8', value: [...charsmap] } }),
  }
}

interface Spaces {
  readonly charsmap: Uint8Array | undefined
  /** Whether runs of spaces become one, those at the ends none. */
  readonly merges: boolean
  /** Whether one goes in front of every text. */
  readonly prefix: boolean
}

/** What normalizers and pre-tokenizers of transformers' forms do to spaces, which all become ▁. */
function spacesOf(
  normalizer: TokenizerPart | null | undefined,
  preTokenizer: TokenizerPart | null | undefined,
): Spaces {
  const steps = [...stepsOf(normalizer)]
  const cuts = [...stepsOf(preTokenizer)]
  const map = steps[0]?.type === 'Precompiled' ? steps.shift()?.precompiled_charsmap : undefined
  const charsmap = map ? bytesOfBase64(map) : undefined
  const [first] = steps
  const kinds = steps.map(kindOf).join()
  const last = cuts.at(-1)
  if (cuts.length === 0 && kinds === 'space') return { charsmap, merges: false, prefix: false }
  if (cuts.length === 0 && kinds === 'Prepend,space' && first.prepend === '▁')
    return { charsmap, merges: false, prefix: true }
  if (last?.type === 'Metaspace' && last.prepend_scheme === 'always') {
    const byWords = cuts.length === 2 && cuts[0].type === 'WhitespaceSplit' && steps.length === 0
    if (byWords || (cuts.length === 1 && ['Strip,spaces', 'spaces'].includes(kinds)))
      return { charsmap, merges: true, prefix: true }
  }
  throw refuse(
    `llama.cpp has no form of ${JSON.stringify({ normalizer: steps, pre_tokenizer: preTokenizer ?? null })}`,
  )
}

/** Its type; `space` and `spaces` where one or several become ▁ or one. */
function kindOf({ type, pattern, content }: TokenizerPart): string {
  if (type !== 'Replace') return `${type}`
  if (pattern?.String === ' ' && content === '▁') return 'space'
  return pattern?.Regex === ' {2,}' && (content === '▁' || content === ' ') ? 'spaces' : 'Replace'
}
