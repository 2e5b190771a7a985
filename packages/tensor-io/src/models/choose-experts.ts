import type { MixtureOfExperts } from './layer-spec.ts'

/**
 * The experts with the highest scores at each position, the highest first; of equal ones the first.
 *
 * @param scores `[positions, experts]`
 * @returns `[positions, chosen]`
 * @example
 * chooseExperts(Float32Array.of(0.1, 3, 2), 3, 2) // [1, 2]
 */
export function chooseExperts(
  scores: Float32Array,
  experts: number,
  chosen: number,
): Int32Array<ArrayBuffer> {
  const positions = scores.length / experts
  const choices = new Int32Array(positions * chosen)
  for (let t = 0; t < positions; t++) {
    const at = scores.subarray(t * experts, (t + 1) * experts)
    const own = choices.subarray(t * chosen, (t + 1) * chosen)
    for (let n = 0; n < chosen; n++) {
      let best = -1
      for (let e = 0; e < experts; e++) {
        if (own.subarray(0, n).includes(e)) continue
        if (best < 0 || at[e] > at[best]) best = e
      }
      own[n] = best
    }
  }
  return choices
}

/** The shares of the experts that a position chooses, by its scores. */
function sharesOf(scores: Float32Array, choices: ArrayLike<number>, softmaxOver: 'chosen' | 'all'): number[] {
  const chosen = Array.from(choices, e => scores[e])
  const counted = softmaxOver === 'all' ? Array.from(scores) : chosen
  const most = Math.max(...counted)
  const total = counted.reduce((sum, score) => sum + Math.exp(score - most), 0)
  return chosen.map(score => Math.exp(score - most) / total)
}

/** A position that reaches an expert, and how much the expert counts there. */
export interface Reached {
  readonly position: number
  readonly share: number
}

/** The positions that reach each expert, in order. */
export function routed(
  scores: Float32Array,
  {
    experts,
    chosen,
    softmaxOver,
  }: Pick<MixtureOfExperts, 'chosen' | 'softmaxOver'> & { readonly experts: number },
): Reached[][] {
  const reached: Reached[][] = Array.from({ length: experts }, () => [])
  const choices = chooseExperts(scores, experts, chosen)
  for (let position = 0; position * experts < scores.length; position++) {
    const own = choices.subarray(position * chosen, (position + 1) * chosen)
    const shares = sharesOf(scores.subarray(position * experts, (position + 1) * experts), own, softmaxOver)
    for (const [k, e] of own.entries()) reached[e].push({ position, share: shares[k] })
  }
  return reached
}
