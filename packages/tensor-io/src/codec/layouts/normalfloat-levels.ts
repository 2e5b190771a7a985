/**
 * The 2^bits levels of NormalFloat in [−1, 1], rising: 2^(bits−1) positive quantiles, one fewer negative, and 0.
 * For 4 bits these are QLoRA's (arXiv 2305.14314, appendix E).
 *
 * @param bits 2 to 8
 */
export function normalfloatLevels(bits: number): Float32Array {
  const half = 2 ** (bits - 1)
  const tail = (1 / (4 * half) + 1 / (4 * half - 2)) / 2
  const positive = Array.from({ length: half }, (_, i) => quantile(0.5 + ((0.5 - tail) * (i + 1)) / half))
  const negative = Array.from(
    { length: half - 1 },
    (_, i) => -quantile(1 - tail - ((0.5 - tail) * i) / (half - 1)),
  )
  const largest = positive[half - 1]
  return Float32Array.from([...negative, 0, ...positive], v => v / largest)
}

/** The value below which a standard normal falls with probability `p`, by Newton's method on the distribution. */
function quantile(p: number): number {
  let x = 0
  for (let i = 0; i < 60; i++) {
    const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
    const step = (cumulative(x) - p) / density
    x -= Math.max(-0.5, Math.min(0.5, step))
    if (Math.abs(step) < 1e-14) break
  }
  return x
}

/** Normal distribution function: ½ + φ(x)·(x + x³/3 + x⁵/15 + …). */
function cumulative(x: number): number {
  let term = x
  let sum = x
  for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
    term *= (x * x) / i
    sum += term
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
}
