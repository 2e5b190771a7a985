import { breather, type EncodedMatrix, type LongWork, type Matrix, ReallmError } from '@reallm/tensor-io'
import { difference, type Metric } from './metric.ts'

/** The structured part beside the codes, in its stored precision. */
export interface Part {
  readonly product: Matrix
  /** Remaining squared error under the metric. */
  readonly error: number
}

/** Options of `alternate`. */
export interface AlternationOptions<P extends Part> extends LongWork {
  /** Error that `fit` lowers; the alternation ends when it stops falling. */
  readonly metric: Metric
  /** Error that the result is chosen by; `metric` by default. */
  readonly judge?: Metric | undefined
  /** At most this many pairs of steps. */
  readonly rounds: number
  /** Stop when a round lowers the squared error by less than this share. */
  readonly tolerance: number
  /** Fits the structured part to `W − Q`. */
  fit(residual: Matrix): P
  /** Quantises `W − L₁L₂`. */
  quantise(residual: Matrix): Promise<Quantised>
}

/** A matrix as it is stored, and decoded again. */
export interface Quantised {
  readonly stored: EncodedMatrix
  readonly decoded: Matrix
}

/** A quantised matrix and the low-rank part beside it. */
export interface Alternation<P extends Part> {
  readonly quantised: Quantised
  readonly part: P
  /** Squared error under `judge`. */
  readonly error: number
  /** Rounds begun. */
  readonly rounds: number
}

/**
 * `W ≈ Q + L₁L₂`, or another structure instead of `L₁L₂`, by alternation: the best factors for `W − Q`, then codes for
 * `W − L₁L₂` (ReALLM, arXiv 2405.13155 §3.1; LQ-LoRA, 2311.12023 algorithm 1; CALDERA, 2405.18886 algorithm 1 under `H`). The
 * error is measured after each half of a round, with everything in its stored precision. It ends when a round does not lower
 * the error, and returns the best state under `judge`; last, the structured part is refitted to the final codes.
 */
export async function alternate<P extends Part>(
  w: Matrix,
  options: AlternationOptions<P>,
): Promise<Alternation<P>> {
  const { metric, judge = metric, rounds, tolerance, fit, quantise, onProgress } = options
  const breathe = breather(options)
  const scale = judge.norm(w) || 1
  /** A state with its error; `left` is `W − Q − L₁L₂`. */
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
