/**
 * Text from the bytes of a file: UTF-8, a byte-order mark dropped, and line ends as `\n` whatever the file has, so
 * that a text scores the same on every system.
 *
 * @example
 * const ids = tokenizer.encode(textOf(await readFile('wiki.test.raw')))
 */
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\r\n?/g, '\n')
