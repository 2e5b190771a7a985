import type { Random } from '@reallm/tensor-io'
import type { Distribution } from '@reallm/tensor-io/models'

/**
 * Speculative sampling (arXiv 2302.01318): a token that was drawn from `draft` is kept with probability
 * `min(1, wanted / draft)`; otherwise another is drawn from what `wanted` has more of. Either way the result is distributed as
 * `wanted`.
 *
 * @returns the token, `id` itself where it is kept
 */
export function acceptDraft(
  id: number,
  wanted: Distribution,
  draft: Distribution,
  random: Pick<Random, 'uniform'>,
): number {
  const [p, q] = [shares(wanted), shares(draft)]
  if (random.uniform() * q.get(id)! < (p.get(id) ?? 0)) return id
  const missing = wanted.ids.map(other => Math.max(0, p.get(other)! - (q.get(other) ?? 0)))
  let left = random.uniform() * missing.reduce((sum, share) => sum + share, 0)
  for (const [i, share] of missing.entries()) {
    left -= share
    if (left < 0) return wanted.ids[i]
  }
  return wanted.ids[0]
}

/** The probability of each token that may be drawn. */
const shares = ({ ids, weightOf, total }: Distribution): Map<number, number> =>
  new Map(ids.map(id => [id, weightOf(id) / total]))
