import { ReallmError } from './errors.ts'
import type { Random } from './random.ts'

/** How the next token is chosen. */
export interface SampleOptions {
  /** Logits are divided by it; 0 (default) takes the likeliest token. */
  readonly temperature?: number
  /** Only the k likeliest tokens; 0 (default) for all. */
  readonly topK?: number
  /** Only the likeliest tokens that together reach this probability; 1 (default) for all. */
  readonly topP?: number
}

/**
 * Draws a token id from logits `[vocabulary]`: temperature, then top-k, then top-p, then one number of `random`.
 *
 * @throws `bad-option` for a negative temperature, a fractional k, or p outside (0, 1]
 * @example
 * const id = sample(logits, { temperature: 0.8, topK: 40 }, random(1))
 */
export function sample(logits: ArrayLike<number>, options: SampleOptions, random: Random): number {
  const { temperature = 0, topK = 0, topP = 1 } = options
  const bad = (what: string) => new ReallmError('bad-option', what)
  if (!(temperature >= 0)) throw bad(`temperature must be 0 or more, got ${temperature}`)
  if (!Number.isInteger(topK) || topK < 0) throw bad(`top-k must be 0 or a positive integer, got ${topK}`)
  if (!(topP > 0 && topP <= 1)) throw bad(`top-p must be over 0 and at most 1, got ${topP}`)
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i
  if (temperature === 0 || topK === 1) return best

  const ids = Array.from({ length: logits.length }, (_, i) => i)
  const limited = topK > 0 && topK < ids.length
  if (limited || topP < 1) ids.sort((a, b) => logits[b] - logits[a] || a - b)
  if (limited) ids.length = topK
  const weights = ids.map(i => Math.exp((logits[i] - logits[best]) / temperature))
  let total = weights.reduce((sum, w) => sum + w, 0)
  if (topP < 1) {
    let kept = 0
    let reached = 0
    while (reached < topP * total) reached += weights[kept++]
    ids.length = kept
    total = reached
  }
  let left = random.uniform() * total
  for (const [at, id] of ids.entries()) {
    left -= weights[at]
    if (left < 0) return id
  }
  return ids[ids.length - 1]
}
