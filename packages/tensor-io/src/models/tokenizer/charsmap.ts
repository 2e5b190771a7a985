import { ReallmError } from '../../core/errors.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * SentencePiece's compiled map of characters: a double-array trie (darts-clone) over UTF-8, whose values are places in a list of
 * texts that end with a zero. Texts are taken apart as in Python's tokenizers: a grapheme of less than 6 bytes becomes what the
 * shortest of its beginnings in the trie says, others are looked up one character after another.
 *
 * @param bytes size of the trie (u32), trie, texts
 * @throws `bad-file` where sizes do not fit
 */
function charsmapNormaliser(bytes: Uint8Array): (text: string) => string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = bytes.length >= 4 ? view.getUint32(0, true) : 0
  if (size === 0 || size % 4 !== 0 || size > bytes.length - 4) {
    throw new ReallmError('bad-file', 'precompiled_charsmap: its trie does not fit its bytes', {
      hint: 'fetch the tokenizer again',
    })
  }
  const unitAt = (node: number) => (4 * node < size ? view.getUint32(4 + 4 * node, true) : 0)
  const texts = bytes.subarray(4 + size)
  const known = new Map<number, string>()

  function textAt(at: number): string {
    const found = known.get(at)
    if (found !== undefined) return found
    const end = texts.indexOf(0, at)
    const made = text.decode(texts.subarray(at, end < 0 ? texts.length : end))
    known.set(at, made)
    return made
  }

  /** What the shortest beginning that is in the trie becomes. */
  function mapped(part: string): string | undefined {
    let node = offsetOf(unitAt(0))
    for (const byte of utf8.encode(part)) {
      if (byte === 0) return undefined
      node ^= byte
      const unit = unitAt(node)
      // Its label, and that it is no value.
      if ((unit & 0x800000ff) !== byte) return undefined
      node ^= offsetOf(unit)
      if (unit & 0x100) return textAt(unitAt(node) & 0x7fffffff)
    }
    return undefined
  }

  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
  return given => {
    let made = ''
    for (const { segment } of graphemes.segment(given)) {
      const whole = utf8.encode(segment).length < 6 ? mapped(segment) : undefined
      if (whole !== undefined) made += whole
      else for (const character of segment) made += mapped(character) ?? character
    }
    return made
  }
}

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >> 6)

/** A normalizer of the library, as far as it is looked at here. */
interface Normalizer {
  readonly config?: { readonly type?: string; readonly precompiled_charsmap?: unknown }
  readonly normalizers?: readonly (Normalizer | null)[]
  normalize?(text: string): string
}

/** Makes normalizers with a compiled map of characters use it; the library's replace it by a normal form of Unicode. */
export function normaliseExactly(normalizer: Normalizer | null): void {
  const { type, precompiled_charsmap: map } = normalizer?.config ?? {}
  if (normalizer && type === 'Precompiled')
    normalizer.normalize = typeof map === 'string' ? charsmapNormaliser(bytesOfBase64(map)) : same
  for (const inner of normalizer?.normalizers ?? []) normaliseExactly(inner)
}

const same = (text: string) => text

/** The bytes of a text in base64. */
export const bytesOfBase64 = (base64: string): Uint8Array =>
  Uint8Array.from(atob(base64), char => char.charCodeAt(0))

/** Bytes, signed or not, in base64. */
export function base64Of(bytes: ArrayLike<number>): string {
  let made = ''
  for (let i = 0; i < bytes.length; i++) made += String.fromCharCode(bytes[i] & 255)
  return btoa(made)
}
