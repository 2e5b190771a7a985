import type { Tokens } from './tokenise.ts'

/** Index of the first token that is predicted and learned: no token predicts the first one. -1 when there is none. */
export const firstLearned = (weights: Uint8Array): number =>
  weights.findIndex((weight, i) => i > 0 && weight > 0)

/**
 * An example whose first `length` predictions would all be prompt, without the start of its prompt: what is learned then fits
 * into the first sequence, or follows half a sequence of prompt where it is too long. The first token, which may mark a
 * start, stays. Other examples are returned as they are.
 */
export function shortenPrompt(tokens: Tokens, length: number): Tokens {
  const { ids, weights } = tokens
  const first = firstLearned(weights)
  if (first <= length) return tokens
  const kept = Math.max(1, length >> 1, length + 1 - (ids.length - first))
  const from = first - kept
  const short = { ids: ids.slice(from), weights: weights.slice(from) }
  short.ids[0] = ids[0]
  return short
}
