/** Index of the largest; the first of several. */
export function likeliest(logits: Float32Array): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i
  return best
}

/** log Σ exp. */
export function logSumExp(logits: Float32Array): number {
  const top = logits[likeliest(logits)]
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - top)
  return top + Math.log(sum)
}

/** How many are larger than that of `index`. */
export function rankOf(logits: Float32Array, index: number): number {
  const own = logits[index]
  let larger = 0
  for (let i = 0; i < logits.length; i++) if (logits[i] > own) larger++
  return larger
}

/** KL(p ‖ q) of logits, in nats; their `logSumExp` are at hand. */
export function divergence(p: Float32Array, q: Float32Array, logSumP: number, logSumQ: number): number {
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += Math.exp(p[i] - logSumP) * (p[i] - q[i])
  return sum - logSumP + logSumQ
}
