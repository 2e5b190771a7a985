import { random } from '@reallm/tensor-io'

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, v) => sum + v, 0) / values.length

/** Standard error of a mean, from the sample's variance; 0 of one value. */
export function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0
  const centre = mean(values)
  const squares = values.reduce((sum, v) => sum + (v - centre) ** 2, 0)
  return Math.sqrt(squares / (values.length - 1) / values.length)
}

/** Between what values 95 % of the means of resamples lie (percentile bootstrap). */
export function bootstrap(
  values: readonly number[],
  seed: number,
  resamples = 1000,
): readonly [low: number, high: number] {
  const draw = random(seed)
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0
    for (let i = 0; i < values.length; i++) sum += values[draw.integer(values.length)]
    return sum / values.length
  }).sort()
  return [means[Math.floor(0.025 * resamples)], means[Math.ceil(0.975 * resamples) - 1]]
}
