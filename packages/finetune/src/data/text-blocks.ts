import { type ByteSource, ReallmError, textOf } from '@reallm/tensor-io'

/** Bytes that are read at a time. */
const BLOCK = 1 << 16
/** Most characters of a line. */
const LONGEST_LINE = 1 << 26

/** Characters from the end of a stretch in which a place to cut is looked for. */
const NEAR = 1 << 12

const NEWLINE = 0x0a
const RETURN = 0x0d

export interface TextBlock {
  readonly text: string
  /** Number of the line that it starts in, from 1. */
  readonly line: number
}

/**
 * A file's text in blocks of about 64 kB, cut after a line end where there is one: UTF-8, a byte-order mark dropped,
 * line ends as `\n`.
 *
 * @throws `bad-file` naming the line that is not UTF-8
 */
export async function* textBlocks(source: ByteSource): AsyncGenerator<TextBlock> {
  let rest = new Uint8Array()
  let line = 1
  for (let at = 0; at < source.size; at += BLOCK) {
    const end = Math.min(source.size, at + BLOCK)
    const bytes = joined(rest, await source.read(at, end))
    const cut = end === source.size ? bytes.length : lastCut(bytes)
    const text = textOf(source.name, bytes.subarray(0, cut), { start: at === 0, line })
    rest = bytes.slice(cut)
    yield { text, line }
    line += linesIn(text)
  }
}

/** Lines of a file without blanks around them, empty ones left out. */
export async function* linesOf(source: ByteSource): AsyncGenerator<TextBlock> {
  let open: string[] = []
  let length = 0
  let line = 1
  for await (const { text } of textBlocks(source)) {
    const parts = text.split('\n')
    for (const [i, part] of parts.entries()) {
      open.push(part)
      length += part.length
      if (length > LONGEST_LINE) {
        throw new ReallmError(
          'bad-file',
          `${source.name}, line ${line} has more than 64 million characters`,
          {
            hint: 'JSON lines hold one example each',
          },
        )
      }
      if (i === parts.length - 1) break
      const whole = open.join('').trim()
      if (whole !== '') yield { text: whole, line }
      open = []
      length = 0
      line++
    }
  }
  const whole = open.join('').trim()
  if (whole !== '') yield { text: whole, line }
}

/** A file's text in stretches of about 64 kB that tokenise as they do in the whole, see `cutBehindWord`. */
export async function* stretchesOf(source: ByteSource): AsyncGenerator<string> {
  let rest = ''
  for await (const { text } of textBlocks(source)) {
    if (rest !== '') {
      const cut = cutBehindWord(rest)
      yield rest.slice(0, cut)
      rest = rest.slice(cut)
    }
    rest += text
  }
  if (rest !== '') yield rest
}

/**
 * The last place between a word and one blank before something else, where tokenizers start a new token; the end of a
 * text that has none near it.
 */
function cutBehindWord(text: string): number {
  for (let at = text.length - 2; at > Math.max(0, text.length - NEAR); at--) {
    if (/^[\p{L}\p{N}]\s\S/u.test(text.slice(at - 1, at + 2))) return at
  }
  return text.length
}

/** Behind the last line end, else before what may be the first bytes of a character or of a line end. */
function lastCut(bytes: Uint8Array): number {
  const newline = bytes.lastIndexOf(NEWLINE)
  if (newline >= 0) return newline + 1
  let cut = bytes.length
  while (cut > bytes.length - 4 && (bytes[cut - 1] & 0xc0) === 0x80) cut--
  return bytes[cut - 1] >= 0x80 || bytes[cut - 1] === RETURN ? cut - 1 : cut
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

function linesIn(text: string): number {
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
  return lines
}
