import { matmul } from '@reallm/kernels'
import { breather, type EncodedMatrix, type LongWork, type Matrix } from '@reallm/tensor-io'
import type { StoredLowRank } from './low-precision.ts'
import { difference, type Metric } from './metric.ts'

export interface AlternationOptions extends LongWork {
  readonly metric: Metric
  /** At most this many pairs of steps. */
  readonly rounds: number
  /** Stop when a round lowers the squared error by less than this share. */
  readonly tolerance: number
  /** Low-rank factors for what the quantised part leaves, as stored. */
  fit(residual: Matrix): StoredLowRank
  /** Quantises what the low-rank part leaves. */
  quantise(residual: Matrix): Promise<Quantised>
}

export interface Quantised {
  readonly stored: EncodedMatrix
  readonly decoded: Matrix
}

export interface Alternation {
  readonly quantised: Quantised
  readonly factors: StoredLowRank
  /** Squared error under the metric. */
  readonly error: number
  /** Rounds begun. */
  readonly rounds: number
}

/**
 * `W ≈ Q + L₁L₂` by turns: factors for `W − Q`, then codes for `W − L₁L₂` (ReALLM §3.1, LQ-LoRA algorithm 1, CALDERA
 * algorithm 1 under `H`). The error is measured after each half of a round, with everything as stored; it ends when
 * a round does not lower it, and the best is returned. So the factors of the result may be a refit to its final codes.
 */
export async function alternate(w: Matrix, options: AlternationOptions): Promise<Alternation> {
  const { metric, rounds, tolerance, fit, quantise, onProgress } = options
  const breathe = breather(options)
  const scale = metric.norm(w) || 1
  let best: Alternation | undefined
  let quantised: Quantised | undefined
  for (let round = 1; round <= rounds; round++) {
    const before: number = best?.error ?? Number.POSITIVE_INFINITY
    const factors = fit(quantised ? difference(w, quantised.decoded) : w)
    if (quantised) best = better(best, { quantised, factors, error: factors.error, rounds: round })
    await breathe()
    const product = matmul(factors.left, factors.right)
    quantised = await quantise(difference(w, product))
    const error = metric.norm(difference(difference(w, product), quantised.decoded))
    best = better(best, { quantised, factors, error, rounds: round })
    onProgress?.({ event: 'round-end', done: round, total: rounds, error: best.error / scale })
    await breathe()
    if (best.error > (1 - tolerance) * before || best.error === 0) break
  }
  if (!best) throw new RangeError('rounds must be at least 1')
  const last = fit(difference(w, best.quantised.decoded))
  return last.error < best.error ? { ...best, factors: last, error: last.error } : best
}

const better = (a: Alternation | undefined, b: Alternation): Alternation => (a && a.error <= b.error ? a : b)
