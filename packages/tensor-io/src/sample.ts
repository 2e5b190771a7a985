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
  /** Only tokens at least this probable relative to the likeliest; 0 (default) for all. */
  readonly minP?: number
  /** Positive logits of tokens in `previous` are divided by it, negative ones multiplied; 1 (default) for none. */
  readonly repetitionPenalty?: number
}

/** Tokens this many nats below the likeliest don't count in top-p: e⁻³⁰ each. */
const negligible = 30

/**
 * Draws a token id from logits `[vocabulary]`: repetition penalty, temperature, min-p, top-k, then top-p, then one
 * number of `random`.
 *
 * @param previous ids that the repetition penalty applies to
 * @throws `bad-option` for a negative temperature, a fractional k, p outside (0, 1], or a penalty of 0 or less
 * @example
 * const id = sample(logits, { temperature: 0.8, topK: 40 }, random(1))
 */
export function sample(
  logits: ArrayLike<number>,
  options: SampleOptions,
  random: Random,
  previous: Iterable<number> = [],
): number {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options
  check(options)
  const scores = repetitionPenalty === 1 ? logits : penalised(logits, repetitionPenalty, previous)
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i
  if (temperature === 0 || topK === 1) return best

  const limited = topK > 0 && topK < scores.length
  const ordered = limited || topP < 1
  let floor = ordered ? scores[best] - negligible * temperature : Number.NEGATIVE_INFINITY
  if (minP > 0) floor = Math.max(floor, scores[best] + Math.log(minP) * temperature)
  const ids: number[] = []
  for (let i = 0; i < scores.length; i++) if (scores[i] >= floor) ids.push(i)
  if (ordered) ids.sort((a, b) => scores[b] - scores[a] || a - b)
  if (limited && topK < ids.length) ids.length = topK
  const weights = Float64Array.from(ids, i => Math.exp((scores[i] - scores[best]) / temperature))
  let total = weights.reduce((sum, w) => sum + w, 0)
  if (topP < 1) {
    let kept = 0
    let reached = 0
    while (kept < ids.length && reached < topP * total) reached += weights[kept++]
    ids.length = kept
    total = reached
  }
  let left = random.uniform() * total
  for (let at = 0; at < ids.length; at++) {
    left -= weights[at]
    if (left < 0) return ids[at]
  }
  return ids[ids.length - 1]
}

function check({
  temperature = 0,
  topK = 0,
  topP = 1,
  minP = 0,
  repetitionPenalty = 1,
}: SampleOptions): void {
  const bad = (what: string) => new ReallmError('bad-option', what)
  if (!(temperature >= 0)) throw bad(`temperature must be 0 or more, got ${temperature}`)
  if (!Number.isInteger(topK) || topK < 0) throw bad(`top-k must be 0 or a positive integer, got ${topK}`)
  if (!(topP > 0 && topP <= 1)) throw bad(`top-p must be over 0 and at most 1, got ${topP}`)
  if (!(minP >= 0 && minP <= 1)) throw bad(`min-p must be from 0 to 1, got ${minP}`)
  if (!(repetitionPenalty > 0)) throw bad(`the repetition penalty must be over 0, got ${repetitionPenalty}`)
}

function penalised(logits: ArrayLike<number>, penalty: number, previous: Iterable<number>): Float32Array {
  const scores = Float32Array.from(logits)
  for (const id of new Set(previous))
    scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty
  return scores
}
