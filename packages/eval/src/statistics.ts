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

export interface BootstrapOptions {
  /** Of each value, such as the tokens that it is a sum over: the mean is the sum of values over that of weights. */
  readonly weights?: readonly number[] | undefined
  /** Default 1000. */
  readonly resamples?: number | undefined
}

/** Between what values 95 % of the means of resamples lie (percentile bootstrap). */
export function bootstrap(
  values: readonly number[],
  seed: number,
  { weights, resamples = 1000 }: BootstrapOptions = {},
): readonly [low: number, high: number] {
  const draw = random(seed)
  const means = Float64Array.from({ length: resamples }, () => {
    let [sum, weight] = [0, 0]
    for (let i = 0; i < values.length; i++) {
      const drawn = draw.integer(values.length)
      sum += values[drawn]
      weight += weights ? weights[drawn] : 1
    }
    return sum / weight
  }).sort()
  return [means[Math.floor(0.025 * resamples)], means[Math.ceil(0.975 * resamples) - 1]]
}
