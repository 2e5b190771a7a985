import type { TextTokenizer } from '@reallm/tensor-io/models'

/**
 * What each token writes: its bytes, as characters of codes 0 to 255, by id. Undefined for special tokens, which write nothing.
 */
export function tokenBytes({ files: { tokenizer } }: Pick<TextTokenizer, 'files'>): (string | undefined)[] {
  const { vocab } = Object(tokenizer.model) as Record<string, unknown>
  const pieces: [string, number][] = Array.isArray(vocab)
    ? vocab.map((piece: unknown[], id) => [String(piece[0]), id])
    : Object.entries(Object(vocab) as Record<string, number>)
  const bytesOf = isByteLevel(tokenizer.decoder) ? byteLevel : spelled
  const all: (string | undefined)[] = []
  for (const [piece, id] of pieces) all[id] = bytesOf(piece)
  const added = Array.isArray(tokenizer.added_tokens) ? (tokenizer.added_tokens as AddedToken[]) : []
  for (const { id, content, special } of added) all[id] = special ? undefined : utf8(content)
  return all
}

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special?: boolean
}

function isByteLevel(decoder: unknown): boolean {
  const { type, decoders } = Object(decoder) as Record<string, unknown>
  return type === 'ByteLevel' || (Array.isArray(decoders) && decoders.some(isByteLevel))
}

const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

/** GPT-2's alphabet: bytes that print stand for themselves, the others follow from 256 on. */
const bytesByCharacter = new Map<string, string>()
for (let code = 0, next = 256; code < 256; code++) {
  const prints = (code > 32 && code < 127) || (code > 160 && code !== 173)
  bytesByCharacter.set(String.fromCharCode(prints ? code : next++), String.fromCharCode(code))
}

function byteLevel(piece: string): string | undefined {
  const bytes = Array.from(piece, character => bytesByCharacter.get(character))
  return bytes.includes(undefined) ? undefined : bytes.join('')
}

/** SentencePiece: `▁` is a space, `<0xE2>` a byte. */
function spelled(piece: string): string {
  const hex = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1]
  return hex === undefined ? utf8(piece.replaceAll('▁', ' ')) : String.fromCharCode(Number.parseInt(hex, 16))
}
