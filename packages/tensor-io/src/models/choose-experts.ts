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
