/** The largest difference, relative to the largest of the wanted values, or to 1; Infinity for another number of them. */
export function distance(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY
  let [worst, largest] = [0, 1]
  for (let i = 0; i < want.length; i++) {
    largest = Math.max(largest, Math.abs(want[i]))
    const difference = Math.abs(got[i] - want[i])
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference)
  }
  return worst / largest
}
