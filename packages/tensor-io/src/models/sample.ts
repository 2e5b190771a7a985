import { ReallmError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'

/** What a text may go on with: a grammar, say. */
export interface TokenConstraint {
  /** Whether a token may come next. */
  allows(id: number): boolean
  /** All that may come next: asked for where a likely one may not. */
  allowed(): readonly number[]
  /** A token was chosen. */
  accept(id: number): void
}

/** How the next token is chosen. */
export interface SampleOptions {
  /** Logits are divided by it; 0 (default) takes the likeliest token. */
  readonly temperature?: number | undefined
  /** Only the k likeliest tokens; 0 (default) for all. */
  readonly topK?: number | undefined
  /** Only the likeliest tokens that together reach this probability; 1 (default) for all. */
  readonly topP?: number | undefined
  /** Only tokens at least this probable relative to the likeliest; 0 (default) for all. */
  readonly minP?: number | undefined
  /** Positive logits of tokens in `previous` are divided by it, negative ones multiplied; 1 (default) for none. */
  readonly repetitionPenalty?: number | undefined
  /** Where it does not allow the token that was drawn, another is drawn among all that it allows. */
  readonly constraint?: TokenConstraint | undefined
  /** Hears of each token that is chosen, with the model's logits; they are overwritten afterwards. */
  readonly onSample?: ((id: number, logits: ArrayLike<number>) => void) | undefined
}

/** How a text is continued. */
export interface GenerateOptions extends SampleOptions {
  /** Tokens at most; generation also ends where the model's positions do. */
  readonly maxTokens?: number | undefined
  /** Of the draws when `temperature` is over 0. Default 0. */
  readonly seed?: number | undefined
  /** Texts that end the generation, or one; they are left out. */
  readonly stop?: string | readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** How many nats below the likeliest the tokens are looked for that top-k and top-p keep: sorting all takes long. */
const depths = [4, 8, 16, Number.POSITIVE_INFINITY]

/**
 * Draws a token id from logits `[vocabulary]`: repetition penalty, temperature, min-p, top-k, then top-p, then one
 * number of `random`, or two under a constraint.
 *
 * @param previous ids that the repetition penalty applies to
 * @throws `bad-option` for a negative temperature, a fractional k, p outside (0, 1], or a penalty outside [0.001, 1000]; `unsupported`
 *   where the constraint allows no token; `numeric` for logits that are no numbers
 * @example
 * const id = sample(logits, { temperature: 0.8, topK: 40 }, random(1))
 */
export function sample(
  logits: ArrayLike<number>,
  options: SampleOptions,
  random: Pick<Random, 'uniform'>,
  previous: Iterable<number> = [],
): number {
  const { repetitionPenalty = 1, constraint, onSample } = options
  check(options)
  const scores = repetitionPenalty === 1 ? logits : penalised(logits, repetitionPenalty, previous)
  let id = drawn(scores, options, random)
  if (constraint?.allows(id) === false) id = drawn(allowed(scores, constraint), options, random)
  // of NaN, none is the likeliest
  if (!(logits[id] <= Number.POSITIVE_INFINITY)) throw noNumbers()
  constraint?.accept(id)
  onSample?.(id, logits)
  return id
}

const noNumbers = () =>
  new ReallmError('numeric', 'the model computes NaN: its weights are damaged, or too large for it', {
    hint: '`reallm inspect --check` says whether some of them are not finite',
  })

function drawn(scores: ArrayLike<number>, options: SampleOptions, random: Pick<Random, 'uniform'>): number {
  const { ids, weightOf, total } = candidates(scores, options)
  if (isGreedy(options)) return ids[0]
  let left = random.uniform() * total
  for (const id of ids) {
    left -= weightOf(id)
    if (left < 0) return id
  }
  return ids[ids.length - 1]
}

const isGreedy = ({ temperature = 0, topK }: SampleOptions): boolean => temperature === 0 || topK === 1

/** Tokens that may be drawn, and how often relative to each other. */
export interface Distribution {
  readonly ids: readonly number[]
  /** Of one of `ids`. */
  weightOf(id: number): number
  /** Sum of the weights. */
  readonly total: number
}

/**
 * What `sample` draws from.
 *
 * @throws `bad-option` as `sample` does
 */
export function distribution(
  logits: ArrayLike<number>,
  options: SampleOptions,
  previous: Iterable<number> = [],
): Distribution {
  const { repetitionPenalty = 1 } = options
  check(options)
  return candidates(
    repetitionPenalty === 1 ? logits : penalised(logits, repetitionPenalty, previous),
    options,
  )
}

function candidates(scores: ArrayLike<number>, options: SampleOptions): Distribution {
  const { temperature = 0, topK = 0, topP = 1, minP = 0 } = options
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i
  if (isGreedy(options)) return { ids: [best], weightOf: () => 1, total: 1 }

  const weightOf = (i: number) => Math.exp((scores[i] - scores[best]) / temperature)
  const above = (depth: number): number[] => {
    const floor = scores[best] - Math.min(depth, -Math.log(minP)) * temperature
    const found: number[] = []
    for (let i = 0; i < scores.length; i++) if (scores[i] >= floor) found.push(i)
    return found
  }
  const limited = topK > 0 && topK < scores.length
  let ids: number[] = []
  let total = 0
  if (limited) {
    for (let d = 0; ids.length < topK && d < depths.length; d++) ids = above(depths[d])
    ids = likeliest(ids, scores).slice(0, topK)
    for (const i of ids) total += weightOf(i)
  } else {
    ids = above(Number.POSITIVE_INFINITY)
    for (const i of ids) total += weightOf(i)
  }
  if (topP < 1) {
    let kept = 0
    let reached = 0
    for (let d = 0; reached < topP * total && d < depths.length; d++) {
      if (!limited) ids = likeliest(above(depths[d]), scores)
      for ([kept, reached] = [0, 0]; kept < ids.length && reached < topP * total; )
        reached += weightOf(ids[kept++])
    }
    ids.length = kept
    total = reached
  }
  return { ids, weightOf, total }
}

const likeliest = (ids: number[], scores: ArrayLike<number>): number[] =>
  ids.sort((a, b) => scores[b] - scores[a] || a - b)

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
  // beyond these, logits overflow
  if (!(repetitionPenalty >= 1e-3 && repetitionPenalty <= 1e3))
    throw bad(`the repetition penalty must be from 0.001 to 1000, got ${repetitionPenalty}`)
}

function penalised(logits: ArrayLike<number>, penalty: number, previous: Iterable<number>): Float32Array {
  const scores = Float32Array.from(logits)
  for (const id of new Set(previous))
    scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty
  return scores
}

/** The scores of tokens that may come; none of the others has a probability. */
function allowed(scores: ArrayLike<number>, constraint: TokenConstraint): Float32Array {
  const left = new Float32Array(scores.length).fill(Number.NEGATIVE_INFINITY)
  const ids = constraint.allowed()
  if (ids.length === 0) {
    throw new ReallmError('unsupported', 'no token of the vocabulary can go on with the text as it has to be')
  }
  for (const id of ids) left[id] = scores[id]
  return left
}
