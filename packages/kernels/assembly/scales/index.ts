// Scales of groups alone, on one thread: what rounding to a few levels needs. `encode` has the same operation for several threads.
import { putScales, scalesPart } from './fit'

export function fitScales(
  values: usize, weights: usize, n: i32, m: i32, width: i32, levels: usize, count: i32, perUnit: f32, shares: usize,
  starts: i32, rounds: i32, hasZero: i32, scales: usize, zeros: usize,
): void {
  putScales(values, weights, n, m, width, levels, count, perUnit, shares, starts, rounds, hasZero, scales, zeros)
  scalesPart(0, 1)
}
