/** Learning rate over the steps of a run: linear warm-up, then a cosine down to `floor × peak`. */
export interface Schedule {
  /** Highest learning rate. */
  readonly peak: number
  readonly steps: number
  /** Steps of warm-up; default: 5 % of the steps. */
  readonly warmup?: number | undefined
  /** Last learning rate as a part of the highest; default 0.1. */
  readonly floor?: number | undefined
}

/**
 * The learning rate of one step, counted from 0.
 *
 * @example
 * learningRateAt(0, { peak: 1e-3, steps: 100, warmup: 10 }) // 1e-4
 */
export function learningRateAt(step: number, schedule: Schedule): number {
  const { peak, steps, warmup = Math.ceil(steps * 0.05), floor = 0.1 } = schedule
  if (step < warmup) return (peak * (step + 1)) / warmup
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup))
  return peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress)))
}
