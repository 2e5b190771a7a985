import type { NearestLevel } from './nearest-level.ts'

/** Weights of a row that share a step, from `at` on; their errors are weighed by `importance`. */
export interface Group {
  readonly values: Float32Array
  readonly at: number
  readonly size: number
  /** `[columns]`, of the group's columns from `column` on. */
  readonly importance: Float32Array
  readonly column: number
}

/** A group decodes to `step · level + shift`. */
export interface Fit {
  readonly step: number
  readonly shift: number
}

const nothing: Fit = { step: 0, shift: 0 }

/** Steps to try, as shares of the one that the largest weight needs. Few levels gain by clipping, many do not. */
const shares = (levels: number): readonly number[] =>
  levels <= 8
    ? [0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1, 1.05]
    : levels <= 16
      ? [0.65, 0.7, 0.75, 0.8, 0.84, 0.88, 0.92, 0.96, 1, 1.05]
      : levels <= 64
        ? [0.8, 0.85, 0.9, 0.94, 0.97, 1, 1.03]
        : [0.98, 1, 1.004]

/** Squared error of a group under a fit. */
export function errorOf(group: Group, { levels, find }: NearestLevel, { step, shift }: Fit): number {
  const { values, at, size, importance, column } = group
  const inverse = step === 0 ? 0 : 1 / step
  let error = 0
  for (let i = 0; i < size; i++) {
    const value = values[at + i] - shift
    const left = value - step * levels[find(value * inverse)]
    error += importance[column + i] * left * left
  }
  return error
}

/**
 * The step with the least squared error among those of a search, each with its least-squares refinement. Negative steps
 * are tried where the levels are not symmetric.
 */
export function fitStep(group: Group, nearest: NearestLevel, signed: boolean): Fit {
  const { values, at, size, importance, column } = group
  const { levels, find } = nearest
  let largest = 0
  let energy = 0
  for (let i = 0; i < size; i++) {
    const value = values[at + i]
    if (Math.abs(value) > Math.abs(largest)) largest = value
    energy += importance[column + i] * value * value
  }
  if (largest === 0) return nothing
  const [low, high] = [levels[0], levels[levels.length - 1]]
  const ends = signed ? [low, high] : [Math.sign(largest) * high]
  let best = 0
  let most = -1
  let moments: readonly [number, number] = [0, 0]
  const measure = (step: number): number => {
    const inverse = 1 / step
    let product = 0
    let square = 0
    for (let i = 0; i < size; i++) {
      const value = values[at + i]
      const level = levels[find(value * inverse)]
      const weighed = importance[column + i] * level
      product += weighed * value
      square += weighed * level
    }
    moments = [product, square]
    return square > 0 ? (product * product) / square : 0
  }
  for (const end of ends) {
    for (const share of shares(levels.length)) {
      const gain = measure((share * largest) / end)
      if (gain > most) {
        most = gain
        best = moments[1] > 0 ? moments[0] / moments[1] : 0
      }
    }
  }
  if (best === 0) return nothing
  // Another round of rounding and least squares; the search stops where it stands still.
  for (let round = 0; round < 2 && most < energy; round++) {
    const gain = measure(best)
    if (gain <= most * (1 + 1e-7)) break
    most = gain
    best = moments[0] / moments[1]
  }
  return { step: best, shift: 0 }
}

/**
 * Step and shift with the least squared error, by the same search.
 *
 * @param most the largest shift allowed
 */
export function fitStepAndShift(group: Group, nearest: NearestLevel, most: number): Fit {
  const { values, at, size, importance, column } = group
  const { levels, find } = nearest
  const last = levels[levels.length - 1]
  let low = values[at]
  let high = low
  let weight = 0
  let sum = 0
  for (let i = 0; i < size; i++) {
    const value = values[at + i]
    if (value < low) low = value
    if (value > high) high = value
    weight += importance[column + i]
    sum += importance[column + i] * value
  }
  low = Math.min(low, most)
  if (high <= low) return { step: 0, shift: low }
  if (weight === 0) return { step: (high - low) / last, shift: low }
  let best: Fit = { step: (high - low) / last, shift: low }
  let least = errorOf(group, nearest, best)
  const refine = (step: number, shift: number): void => {
    const inverse = 1 / step
    let level1 = 0
    let level2 = 0
    let product = 0
    for (let i = 0; i < size; i++) {
      const level = levels[find((values[at + i] - shift) * inverse)]
      const weighed = importance[column + i] * level
      level1 += weighed
      level2 += weighed * level
      product += weighed * values[at + i]
    }
    const determinant = weight * level2 - level1 * level1
    if (determinant <= 0) return
    let fit: Fit = {
      step: (weight * product - sum * level1) / determinant,
      shift: (level2 * sum - level1 * product) / determinant,
    }
    if (fit.shift > most) fit = { step: (product - most * level1) / level2, shift: most }
    if (!(fit.step > 0)) return
    const error = errorOf(group, nearest, fit)
    if (error < least) {
      least = error
      best = fit
    }
  }
  const middle = (low + high) / 2
  for (const share of shares(2 * levels.length)) {
    const half = (share * (high - low)) / 2
    refine((2 * half) / last, Math.min(middle - half, most))
    if (share < 1) refine((share * (high - low)) / last, low)
  }
  refine(best.step, best.shift)
  return best
}
