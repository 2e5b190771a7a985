/**
 * Share of a text's n-grams that occurred in it before: near 0 for prose, near 1 for a model that is stuck.
 *
 * @param n tokens of an n-gram; default 4
 * @example
 * repetitionRate([1, 2, 1, 2, 1, 2], 2) // 0.6: three of five pairs came before
 */
export function repetitionRate(ids: readonly number[], n = 4): number {
  const seen = new Set<string>()
  const grams = Math.max(0, ids.length - n + 1)
  for (let i = 0; i < grams; i++) seen.add(ids.slice(i, i + n).join())
  return grams === 0 ? 0 : 1 - seen.size / grams
}

/**
 * Share of a reference continuation that another one repeats from its start, token for token.
 *
 * @example
 * continuationAgreement([5, 6, 9], [5, 6, 7, 8]) // 0.5
 */
export function continuationAgreement(ids: readonly number[], reference: readonly number[]): number {
  const same = reference.findIndex((id, i) => ids[i] !== id)
  return reference.length === 0 ? 1 : (same < 0 ? reference.length : same) / reference.length
}
