import { ReallmError } from './errors.ts'

/** Which part of a file bytes are. */
export interface TextPart {
  /** Number of the line that they start in, from 1. */
  readonly line?: number
  /** Whether they start the file, where a byte-order mark may be. */
  readonly start?: boolean
}

/**
 * Text from the bytes of a file: UTF-8, a byte-order mark dropped, and line ends as `\n` whatever the file has, so
 * that a text scores the same on every system.
 *
 * @param name what errors call the file
 * @throws `bad-file` for UTF-16 and UTF-32 (with a byte-order mark or without), and naming the line that is not UTF-8
 * @example
 * const ids = tokenizer.encode(textOf('wiki.test.raw', await readFile('wiki.test.raw')))
 */
export function textOf(name: string, bytes: Uint8Array, { line = 1, start = true }: TextPart = {}): string {
  const wide = start ? wideEncoding(bytes) : undefined
  if (wide) {
    throw new ReallmError('bad-file', `${name} is ${wide}: save it as UTF-8`, {
      hint: `iconv -f ${wide} -t UTF-8 FILE > NEW, or in PowerShell: Get-Content FILE | Set-Content -Encoding utf8 NEW`,
    })
  }
  try {
    return utf8(bytes, start).replace(/\r\n?/g, '\n')
  } catch (cause) {
    throw new ReallmError('bad-file', `${name}, line ${line + linesBeforeBad(bytes)} is not UTF-8`, {
      hint: isPrintable(bytes)
        ? 'save it as UTF-8; if it is Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW'
        : 'is it a text file?',
      cause,
    })
  }
}

const utf8 = (bytes: Uint8Array, start: boolean): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: !start }).decode(bytes)

/** Bytes that are looked at for a pattern. */
const SAMPLE = 4096

/** UTF-16 and UTF-32 by their byte-order mark, else by the zeros that letters of most scripts and blanks have in them. */
function wideEncoding(bytes: Uint8Array): 'UTF-16' | 'UTF-32' | undefined {
  const [a, b, c, d] = bytes
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? 'UTF-32' : 'UTF-16'
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return 'UTF-32'
  if (a === 0xfe && b === 0xff) return 'UTF-16'
  const length = Math.min(bytes.length, SAMPLE) & ~3 || bytes.length & ~1
  const zeros = [0, 0]
  for (let i = 0; i < length; i++) if (bytes[i] === 0) zeros[i % 2]++
  // of either kind of place a fifth: every space and line end has one
  if (Math.max(...zeros) * 10 <= length) return undefined
  return zeros[0] + zeros[1] > 0.6 * length ? 'UTF-32' : 'UTF-16'
}

/** Whether bytes have no control characters but those of texts. */
const isPrintable = (bytes: Uint8Array): boolean =>
  bytes.subarray(0, SAMPLE).every(byte => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d))

const NEWLINE = 0x0a

/** Lines in front of the first one that is not UTF-8. */
function linesBeforeBad(bytes: Uint8Array): number {
  let lines = 0
  for (let at = 0; ; lines++) {
    const end = bytes.indexOf(NEWLINE, at)
    try {
      utf8(bytes.subarray(at, end < 0 ? bytes.length : end), false)
    } catch {
      return lines
    }
    at = end + 1
  }
}
