import { breather, type EncodedMatrix, type LongWork, type Matrix, ReallmError } from '@reallm/tensor-io'
import { difference, type Metric } from './metric.ts'

/** The part beside the codes, as stored. */
export interface Part {
  readonly product: Matrix
  /** Squared error that is left, under the metric. */
  readonly error: number
}

export interface AlternationOptions<P extends Part> extends LongWork {
  /** What `fit` lowers; the alternation ends when it does not fall. */
  readonly metric: Metric
  /** What the result is the best under; `metric` by default. */
  readonly judge?: Metric
  /** At most this many pairs of steps. */
  readonly rounds: number
  /** Stop when a round lowers the squared error by less than this share. */
  readonly tolerance: number
  /** The other part, for what the quantised one leaves. */
  fit(residual: Matrix): P
  /** Codes for what the other part leaves. */
  quantise(residual: Matrix): Promise<Quantised>
}

export interface Quantised {
  readonly stored: EncodedMatrix
  readonly decoded: Matrix
}

export interface Alternation<P extends Part> {
  readonly quantised: Quantised
  readonly part: P
  /** Squared error under `judge`. */
  readonly error: number
  /** Rounds begun. */
  readonly rounds: number
}

/**
 * `W ≈ Q + L₁L₂` (or another structure in the place of `L₁L₂`) by turns: the best factors for `W − Q`, then codes for
 * `W − L₁L₂` (ReALLM §3.1, LQ-LoRA algorithm 1, CALDERA algorithm 1 under `H`). The error is measured after each
 * half of a round, with everything as stored; it ends when a round does not lower it, and the best under `judge` is
 * returned. So the part of the result may be a refit to its final codes.
 */
export async function alternate<P extends Part>(
  w: Matrix,
  options: AlternationOptions<P>,
): Promise<Alternation<P>> {
  const { metric, judge = metric, rounds, tolerance, fit, quantise, onProgress } = options
  const breathe = breather(options)
  const scale = judge.norm(w) || 1
  /** A state with its error; `left` is what it leaves of `w`. */
  const judged = (quantised: Quantised, part: P, round: number, own: number, left: () => Matrix) => ({
    ...{ quantised, part, rounds: round },
    error: judge === metric ? own : judge.norm(left()),
  })
  let best: Alternation<P> | undefined
  let least = Number.POSITIVE_INFINITY
  let quantised: Quantised | undefined
  for (let round = 1; round <= rounds; round++) {
    const before = least
    const target: Matrix = quantised ? difference(w, quantised.decoded) : w
    const part = fit(target)
    if (quantised) {
      least = Math.min(least, part.error)
      best = better(
        best,
        judged(quantised, part, round, part.error, () => difference(target, part.product)),
      )
    }
    await breathe()
    const rest = difference(w, part.product)
    quantised = await quantise(rest)
    const left = difference(rest, quantised.decoded)
    const error = metric.norm(left)
    least = Math.min(least, error)
    best = better(
      best,
      judged(quantised, part, round, error, () => left),
    )
    onProgress?.({ event: 'round-end', done: round, total: rounds, error: best.error / scale })
    await breathe()
    if (least > (1 - tolerance) * before || least === 0) break
  }
  if (!best) throw new ReallmError('bad-option', `the alternation takes at least one round, got ${rounds}`)
  const target = difference(w, best.quantised.decoded)
  const part = fit(target)
  return better(
    best,
    judged(best.quantised, part, best.rounds, part.error, () => difference(target, part.product)),
  )
}

const better = <T extends { error: number }>(a: T | undefined, b: T): T => (a && a.error <= b.error ? a : b)
