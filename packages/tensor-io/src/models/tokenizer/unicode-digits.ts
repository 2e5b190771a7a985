/**
 * A `pre_tokenizer` whose digits are numbers of all scripts (², ½, ٣), as in Python's tokenizers; the library here takes
 * those from 0 to 9 alone.
 */
export function withUnicodeDigits(preTokenizer: unknown): unknown {
  if (typeof preTokenizer !== 'object' || preTokenizer === null) return preTokenizer
  const part = preTokenizer as { type?: unknown; pretokenizers?: unknown; individual_digits?: unknown }
  if (Array.isArray(part.pretokenizers)) {
    return { ...part, pretokenizers: part.pretokenizers.map(withUnicodeDigits) }
  }
  if (part.type !== 'Digits') return part
  const Regex = part.individual_digits ? '\\p{N}' : '\\p{N}+'
  return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }
}
