import { ReallmError } from '../core/errors.ts'

const largestPattern = 1 << 14
const largestNesting = 64
/** Repetitions without an end in a row: with more, time grows with a higher power of the text. */
const mostEndless = 2
/** Ways that alternatives and short repetitions in a row can be combined. */
const mostWays = 1 << 14
/** A repetition of at most more than this counts as one without an end. */
const short = 16

/**
 * Checks a regular expression of a stranger's file before a backtracking engine runs it: the time must not grow
 * exponentially, nor with a high power of the text.
 *
 * @param name what errors call the file
 * @param options `nested` where `[` inside a class begins another class, as in Oniguruma
 * @throws `unsupported` for repetitions of what varies (`(a+)+`, `(a|ab)*`), for back references, and for more than two
 *   unbounded repetitions in a row
 */
export function checkPattern(name: string, pattern: string, { nested = false } = {}): void {
  const fail = (reason: string) =>
    new ReallmError(
      'unsupported',
      `${name}: the pattern ${JSON.stringify(pattern.slice(0, 60))} is not used: ${reason}`,
      { hint: 'it could take for ever on some texts: write it without nested repetitions' },
    )
  if (pattern.length > largestPattern) throw fail('it is too long')
  const scanner = { pattern, nested, at: 0, depth: 0, fail }
  const { endless, ways } = scanAlternatives(scanner)
  if (scanner.at < pattern.length) throw fail('a parenthesis closes nothing')
  if (endless > mostEndless) throw fail(`it has ${endless} unbounded repetitions in a row`)
  if (ways > mostWays) throw fail('it has too many optional parts in a row')
}

interface Scanner {
  readonly pattern: string
  readonly nested: boolean
  readonly fail: (reason: string) => ReallmError
  at: number
  depth: number
}

/** What a part of an expression can do. */
interface Part {
  /** Whether it can match in several ways. */
  readonly varies: boolean
  /** Most unbounded repetitions in a row. */
  readonly endless: number
  /** Ways in which its alternatives and short repetitions can be combined. */
  readonly ways: number
}

const fixed: Part = { varies: false, endless: 0, ways: 1 }

/** Up to the closing parenthesis or the end. */
function scanAlternatives(scanner: Scanner): Part {
  const { pattern } = scanner
  const alternatives = [fixed]
  while (scanner.at < pattern.length && pattern[scanner.at] !== ')') {
    if (pattern[scanner.at] === '|') {
      scanner.at++
      alternatives.push(fixed)
      continue
    }
    const before = alternatives[alternatives.length - 1]
    const part = scanRepeated(scanner)
    alternatives[alternatives.length - 1] = {
      varies: before.varies || part.varies,
      endless: before.endless + part.endless,
      ways: before.ways * part.ways,
    }
  }
  return {
    varies: alternatives.length > 1 || alternatives[0].varies,
    endless: alternatives.reduce((most, { endless }) => Math.max(most, endless), 0),
    ways: alternatives.reduce((sum, { ways }) => sum + ways, 0),
  }
}

/** A quantifier: greedy, lazy or possessive. */
const quantifier = /(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?/y

/** One atom and its quantifier. */
function scanRepeated(scanner: Scanner): Part {
  const atom = scanAtom(scanner)
  quantifier.lastIndex = scanner.at
  const [text, sign, from, comma, to] = quantifier.exec(scanner.pattern) ?? []
  if (text === undefined) return atom
  scanner.at += text.length
  const least = sign === '+' ? 1 : Number(from ?? 0)
  const largest =
    sign === '?' ? 1 : sign || (comma && !to) ? Number.POSITIVE_INFINITY : Number(comma ? to : from)
  if (largest > 1 && atom.varies) throw scanner.fail('it repeats what varies')
  if (largest > short && least !== largest)
    return { varies: true, endless: 1 + atom.endless, ways: atom.ways }
  return { ...atom, varies: least !== largest || atom.varies, ways: atom.ways * (1 + largest - least) }
}

const groupStart = /\((?:\?(?:[:=!>]|<[=!]|<\w+>|[a-z-]+[:)]))?/y
const escaped = /\\(?:[pPxu]\{[^}]*\}|[\s\S])/y

function scanAtom(scanner: Scanner): Part {
  const { pattern, at } = scanner
  switch (pattern[at]) {
    case '(': {
      if (++scanner.depth > largestNesting) throw scanner.fail('it is nested too deeply')
      groupStart.lastIndex = at
      scanner.at += groupStart.exec(pattern)![0].length
      const inside = pattern[scanner.at - 1] === ')' ? undefined : scanAlternatives(scanner)
      if (inside && pattern[scanner.at++] !== ')') throw scanner.fail('a parenthesis is not closed')
      scanner.depth--
      return inside ?? fixed
    }
    case '[':
      scanClass(scanner)
      return fixed
    case '\\':
      if (/[1-9kg]/.test(pattern[at + 1] ?? '')) throw scanner.fail('it refers back')
      escaped.lastIndex = at
      scanner.at += escaped.exec(pattern)?.[0].length ?? 1
      return fixed
    default:
      scanner.at++
      return fixed
  }
}

/** `[…]` */
function scanClass(scanner: Scanner): void {
  const { pattern, nested } = scanner
  let open = 0
  do {
    const letter = pattern[scanner.at]
    if (letter === undefined) throw scanner.fail('a bracket is not closed')
    if (letter === '\\') scanner.at++
    if (letter === '[' && (nested || open === 0)) open++
    if (letter === ']') open--
    scanner.at++
  } while (open > 0)
}
