import type { Tokens } from './tokenise.ts'

/** Index of the first token that is predicted and learned: no token predicts the first one. -1 when there is none. */
export const firstLearned = (weights: Uint8Array): number =>
  weights.findIndex((weight, i) => i > 0 && weight > 0)

/**
 * A sequence whose first window, of `length` predictions, would end before anything of it is learned, without the front
 * of its prompt: what is learned is whole in that window, or where it is too long has half a window before it. The first
 * token, which may mark a start, stays. Others are returned as they are.
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
