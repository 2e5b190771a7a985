/** Finds the nearest of some rising levels: at once where they are evenly spaced, else by bisection. */
export class LevelFinder {
  readonly #levels: Float32Array
  readonly #last: number
  /** Levels per unit where they are evenly spaced, 0 where not. */
  readonly perUnit: number

  constructor(levels: Float32Array) {
    const step = levels[1] - levels[0]
    this.#levels = levels
    this.#last = levels.length - 1
    this.perUnit = levels.every((level, i) => i === 0 || level - levels[i - 1] === step) ? 1 / step : 0
  }

  /** Index of the level nearest to `x`, of two equally near ones the lower. */
  find(x: number): number {
    if (this.perUnit === 0) return this.#bisect(x)
    const at = (x - this.#levels[0]) * this.perUnit
    if (!(at > 0)) return 0
    return at >= this.#last ? this.#last : Math.ceil(at - 0.5) | 0
  }

  #bisect(x: number): number {
    let low = 0
    let high = this.#last
    while (low < high) {
      const middle = (low + high) >> 1
      if (x > (this.#levels[middle] + this.#levels[middle + 1]) / 2) low = middle + 1
      else high = middle
    }
    return low
  }
}
