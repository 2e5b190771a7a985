import { ReallmError } from '../../core/errors.ts'

/** Types of tokens in `tokenizer.ggml.token_type`. */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

export type Merge = readonly [left: string, right: string]

/**
 * The merges of a SentencePiece vocabulary: two pieces become one where that is a piece too, those of the highest score
 * first.
 *
 * @param scores by id; only pieces of type normal are made by merges
 */
export function mergesOfScores(
  tokens: readonly string[],
  scores: ArrayLike<number>,
  typeOf: (id: number) => number,
): Merge[] {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const merges: { left: string; right: string; score: number }[] = []
  for (const [piece, pairs] of splitsInTwo(tokens, typeOf, part => ids.has(part))) {
    pairs.sort((a, b) => ids.get(a[0])! - ids.get(b[0])! || ids.get(a[1])! - ids.get(b[1])!)
    const score = scores[ids.get(piece)!]
    for (const [left, right] of pairs) merges.push({ left, right, score })
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length)
  return merges.map(({ left, right }) => [left, right])
}

/**
 * Scores by which a SentencePiece vocabulary merges as a list of merges says: minus the place of the merges that make a
 * piece; the lowest of all for pieces that none makes.
 *
 * @throws `unsupported` naming a piece whose merges scores cannot express
 */
export function scoresOfMerges(
  tokens: readonly string[],
  merges: readonly Merge[],
  typeOf: (id: number) => number,
): number[] {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const scores = tokens.map(() => -merges.length)
  const listed = new Map<string, Set<number>>()
  let before: string | undefined
  for (const [left, right] of merges) {
    const piece = left + right
    const id = ids.get(piece)
    if (id === undefined) throw refuse(`its merges make ${JSON.stringify(piece)}, which is no token`)
    if (typeOf(id) !== tokenTypes.normal) continue
    const lengths = listed.get(piece)
    if (!lengths) scores[id] = 0 - listed.size
    else if (piece !== before && !isRun(piece)) {
      throw refuse(`other merges come between those into ${JSON.stringify(piece)}`)
    }
    listed.set(piece, (lengths ?? new Set()).add(left.length))
    before = piece
  }
  for (const [piece, pairs] of splitsInTwo(tokens, typeOf, part => ids.has(part) || [...part].length === 1)) {
    const missing = pairs.find(([left]) => !listed.get(piece)?.has(left.length))
    if (!missing) continue
    const [left, right] = missing.map(part => JSON.stringify(part))
    throw refuse(
      `it does not merge ${left} and ${right} into ${JSON.stringify(piece)}, as SentencePiece would`,
    )
  }
  return scores
}

/** Every piece of type normal with the ways to cut it into two parts that `isPart` takes. */
function* splitsInTwo(
  tokens: readonly string[],
  typeOf: (id: number) => number,
  isPart: (part: string) => boolean,
): Generator<[piece: string, pairs: Merge[]]> {
  // Only lengths that occur, so that one long token does not cost the square of its length.
  const lengths = [...new Set([1, 2, ...tokens.map(token => token.length)])].filter(length => length > 0)
  const known = new Set(lengths)
  for (const [id, piece] of tokens.entries()) {
    if (typeOf(id) !== tokenTypes.normal) continue
    const pairs: Merge[] = []
    for (const length of lengths) {
      if (!known.has(piece.length - length) || isSurrogateHalf(piece.charCodeAt(length))) continue
      const pair: Merge = [piece.slice(0, length), piece.slice(length)]
      if (isPart(pair[0]) && isPart(pair[1])) pairs.push(pair)
    }
    if (pairs.length > 0) yield [piece, pairs]
  }
}

/** One character many times, for example spaces: runs grow from the left, in whatever order their merges are listed. */
const isRun = (piece: string): boolean => new Set(piece).size === 1

/** The second half of a character outside the basic plane. */
const isSurrogateHalf = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff

const refuse = (what: string) =>
  new ReallmError('unsupported', `the tokenizer cannot be written to GGUF: ${what}`, {
    hint: 'convert to safetensors instead',
  })
