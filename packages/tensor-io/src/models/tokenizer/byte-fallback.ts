const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of bytes that tokens stand for, as in Python's tokenizers: a replacement character for each where they are no UTF-8. */
function textOf(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return '\ufffd'.repeat(bytes.length)
  }
}

/** A decoder of the library, as far as it is looked at here. */
interface Decoder {
  readonly config?: { readonly type?: string }
  readonly decoders?: readonly Decoder[]
  text_decoder?: { decode(bytes: Uint8Array): string }
}

/** Makes the decoders of byte tokens keep byte order marks and count broken bytes; the library's do neither. */
export function decodeBytesExactly(decoder: Decoder | null): void {
  if (decoder?.config?.type === 'ByteFallback') decoder.text_decoder = { decode: textOf }
  for (const inner of decoder?.decoders ?? []) decodeBytesExactly(inner)
}
