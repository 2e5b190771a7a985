import { breather, type EncodedMatrix, type LongWork, type Matrix, ReallmError } from '@reallm/tensor-io'
import { difference, type Metric } from './metric.ts'

/** The part beside the codes, as stored. */
export interface Part {
  readonly product: Matrix
  /** Squared error that is left, under the metric. */
  readonly error: number
}

export interface AlternationOptions<P extends Part> extends LongWork {
  readonly metric: Metric
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
  /** Squared error under the metric. */
  readonly error: number
  /** Rounds begun. */
  readonly rounds: number
}

/**
 * `W ≈ Q + L₁L₂` (or another structure in the place of `L₁L₂`) by turns: the best factors for `W − Q`, then codes for
 * `W − L₁L₂` (ReALLM §3.1, LQ-LoRA algorithm 1, CALDERA algorithm 1 under `H`). The error is measured after each
 * half of a round, with everything as stored; it ends when a round does not lower it, and the best is returned. So the
 * part of the result may be a refit to its final codes.
 */
export async function alternate<P extends Part>(
  w: Matrix,
  options: AlternationOptions<P>,
): Promise<Alternation<P>> {
  const { metric, rounds, tolerance, fit, quantise, onProgress } = options
  const breathe = breather(options)
  const scale = metric.norm(w) || 1
  let best: Alternation<P> | undefined
  let quantised: Quantised | undefined
  for (let round = 1; round <= rounds; round++) {
    const before: number = best?.error ?? Number.POSITIVE_INFINITY
    const part = fit(quantised ? difference(w, quantised.decoded) : w)
    if (quantised) best = better(best, { quantised, part, error: part.error, rounds: round })
    await breathe()
    const rest = difference(w, part.product)
    quantised = await quantise(rest)
    const error = metric.norm(difference(rest, quantised.decoded))
    best = better(best, { quantised, part, error, rounds: round })
    onProgress?.({ event: 'round-end', done: round, total: rounds, error: best.error / scale })
    await breathe()
    if (best.error > (1 - tolerance) * before || best.error === 0) break
  }
  if (!best) throw new ReallmError('bad-option', `the alternation takes at least one round, got ${rounds}`)
  const last = fit(difference(w, best.quantised.decoded))
  return last.error < best.error ? { ...best, part: last, error: last.error } : best
}

const better = <T extends { error: number }>(a: T | undefined, b: T): T => (a && a.error <= b.error ? a : b)
