import { ReallmError } from '@reallm/tensor-io'
import { bootstrap } from './statistics.ts'
import type { Tally } from './tally.ts'

/** Between what values 95 % of bootstrap resamples lie. */
export type Interval = readonly [low: number, high: number]

/** What `perplexity` finds of a model. */
export interface Evaluation {
  /** exp of `loss`. */
  readonly perplexity: number
  /** Mean negative log-likelihood of the scored tokens, in nats. */
  readonly loss: number
  /** Tokens scored. */
  readonly tokens: number
  readonly windows: number
  /** Windows of these that were measured before (`kept` of the options). */
  readonly keptWindows: number
  /** Mean KL divergence of the model's predictions from the other model's, KL(other ‖ model), in nats. */
  readonly kl?: number | undefined
  /** Share of scored positions where both models have the same most likely token. */
  readonly top1?: number | undefined
  /** Share of scored positions where the other model's most likely token is among this one's five. */
  readonly top5?: number | undefined
  /** Mean negative log-likelihood that the other model gives the scored tokens, in nats. */
  readonly otherLoss?: number | undefined
  /** Of resampled windows; `ratio` is that of both perplexities, window by window. Absent for a single window. */
  readonly intervals?:
    | {
        readonly perplexity: Interval
        readonly kl?: Interval | undefined
        readonly ratio?: Interval | undefined
      }
    | undefined
  /** Tokens that went through the model for it: those of all windows that were not kept. */
  readonly tokensRead: number
  /** Of all models that were measured together. */
  readonly seconds: number
}

/**
 * Sums up windows.
 *
 * @throws `numeric` when the loss is not finite
 */
export function evaluationOf(
  tallies: readonly Tally[],
  {
    seed = 0,
    ...run
  }: Pick<Evaluation, 'seconds' | 'keptWindows' | 'tokensRead'> & { seed?: number | undefined },
): Evaluation {
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0)
  const weights = tallies.map(({ tokens }) => tokens)
  const tokens = sum(tally => tally.tokens)
  const loss = sum(tally => tally.loss) / tokens
  if (!Number.isFinite(loss)) {
    throw new ReallmError('numeric', `the loss is ${loss}`, {
      hint: 'check the weights for values that are not finite',
    })
  }
  const interval = (of: (tally: Tally) => number) => bootstrap(tallies.map(of), seed, { weights })
  const exp = ([low, high]: Interval): Interval => [Math.exp(low), Math.exp(high)]
  const both = tallies.map(({ compared }) => compared).filter(compared => compared !== undefined)
  const isCompared = both.length === tallies.length
  const share = (of: (tally: (typeof both)[number]) => number) =>
    isCompared ? both.reduce((total, tally) => total + of(tally), 0) / tokens : undefined
  return {
    ...{ perplexity: Math.exp(loss), loss, tokens, windows: tallies.length },
    kl: share(({ kl }) => kl),
    top1: share(({ top1 }) => top1),
    top5: share(({ top5 }) => top5),
    otherLoss: share(({ otherLoss }) => otherLoss),
    intervals:
      tallies.length < 2
        ? undefined
        : {
            perplexity: exp(interval(({ loss }) => loss)),
            kl: isCompared ? interval(({ compared }) => compared!.kl) : undefined,
            ratio: isCompared ? exp(interval(({ loss, compared }) => loss - compared!.otherLoss)) : undefined,
          },
    ...run,
  }
}
