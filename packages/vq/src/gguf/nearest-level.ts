/** Finds the nearest of some whole levels in one table look-up: halfway between two of them lies a multiple of a half. */
export interface NearestLevel {
  /** Rising whole numbers. */
  readonly levels: Float64Array
  /** Index of the level nearest to a value. */
  find(value: number): number
}

export function nearestLevel(rising: readonly number[]): NearestLevel {
  const levels = Float64Array.from(rising)
  const last = levels.length - 1
  const base = 2 * levels[0]
  const size = 2 * levels[last] - base
  const table = new Uint8Array(size + 1)
  for (let i = 0, code = 0; i <= size; i++) {
    while (code < last && i + 0.5 + base > levels[code] + levels[code + 1]) code++
    table[i] = code
  }
  return {
    levels,
    find(value) {
      const i = Math.floor(value + value) - base
      return i > 0 ? (i < size ? table[i] : last) : 0
    },
  }
}
